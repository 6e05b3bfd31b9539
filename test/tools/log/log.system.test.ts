import { mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loggedHash } from '../../../src/base/logged-hash.ts'
import { type LogFile, logFiles, readRecords } from '../../../src/prediction-log/log-records.ts'
import type { LogRecord } from '../../../src/schemas/prediction-log.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli as cli } from '../../support/cli.ts'

const record = (id: string, second: number, changes: Partial<LogRecord> = {}): LogRecord => ({
  ...{ schema: 1, request_id: id, time: `2026-01-02T03:04:${String(second).padStart(2, '0')}.000Z`, instance: 'a' },
  ...{ protocol: 'predict', model: 'ads', version: '1', sampled_by: 'rate', sample_rate: 1, outcome: 'ok' },
  ms: { total: 2 },
  context: { user: `u${second}` },
  candidates: [
    { position: 0, id: `ad-${second}`, fields: { tags: ['x', `t${second}`] }, served: { ctr: second / 10 } },
  ],
  ...changes,
})

const [first, second, third] = [
  '20260102T030401000Z-a-1.jsonl',
  '20260102T030402000Z-a-1.jsonl',
  '20260102T030403000Z-a-2.jsonl.open',
]

async function writeLog(t: Test, files: Record<string, (LogRecord | string)[]>): Promise<string> {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'ads/1'), { recursive: true })
  for (const [name, lines] of Object.entries(files)) {
    const text = lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join('')
    await writeFile(join(folder, 'ads/1', name), text)
  }
  return folder
}

const files = {
  [first]: [record('r1', 1), record('r3', 3)],
  [second]: [record('r2', 2), record('r4', 4, { outcome: 'invalid_request', candidates: [] })],
  [third]: [record('r5', 5), '{"schema":1,"requ'],
}
const ids = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as LogRecord).request_id)

t.test('stats and the last records, also of a file that is being written', async (t) => {
  const folder = await writeLog(t, files)
  const { versions } = JSON.parse((await cli(['log', 'stats', folder, '--json'])).stdout)
  t.match(versions, [{ version: 'ads/1', requests: 5, failed: 1, candidates: 4, mean: { ctr: 0.275 }, mean_ms: 2 }])
  t.match((await cli(['log', 'stats', folder])).stdout, /3 files[\s\S]*ads\/1 +5 +1 +4[\s\S]*ctr 0\.2750/)
  t.same(ids((await cli(['log', 'tail', folder])).stdout), ['r1', 'r2', 'r3', 'r4', 'r5'], 'by their time')
  t.same(ids((await cli(['log', 'tail', folder, '--rows', '2'])).stdout), ['r4', 'r5'])
})

t.test('records are erased by a value, in the context or of a candidate, or by its hash', async (t) => {
  const hashed = record('r6', 6, { context: { user: loggedHash('u1', 's') } })
  const fetched = record('r7', 7, { fetched: { country: 'XX' } })
  const folder = await writeLog(t, {
    ...files,
    [second]: [...files[second]!, hashed, fetched],
    [third]: [record('r5', 5)],
  })
  const erase = (field: string, value: string, env = {}) =>
    cli(['log', 'erase', folder, '--field', field, '--value', value], env)
  t.match(await erase('user', 'u1', { MULTIGATE_LOG_SECRET: 's' }), {
    code: 0,
    stdout: /^2 records erased from 2 of 3 files/,
  })
  t.same(ids((await cli(['log', 'tail', folder])).stdout), ['r2', 'r3', 'r4', 'r5', 'r7'])
  t.match((await erase('tags', 't3')).stdout, /^1 record erased/)
  t.same((await readdir(join(folder, 'ads/1'))).sort(), [second, third], 'a file without a record is gone')
  t.match((await erase('country', 'XX')).stdout, /^1 record erased from 1 of 2 files/, 'a value that a table had')
  t.match((await erase('id', 'ad-2')).stdout, /^1 record erased/)
  t.match((await erase('usr', 'u1')).stdout, /^0 records .*\nno record has a field usr: is this its name\?\n$/)
  t.match((await erase('id', 'ad-9')).stdout, /^0 records [^\n]*\n$/)
  t.match(await erase('user', 'u5'), { code: 1, stdout: /1 more are in files that are being written/ })
  t.match((await erase('user', 'nobody')).stdout, /^0 records erased from 0 of 2 files/)
})

t.test('damaged files, other folders and newer schemas are named', async (t) => {
  const damaged = await writeLog(t, { [first]: [record('r1', 1), '{"a":\n'], [second]: [record('r2', 2)] })
  const failed = await cli(['log', 'stats', damaged])
  t.equal(failed.code, 1)
  t.match(failed.stderr, new RegExp(`${first}, line 2`))
  const before = await readFile(join(damaged, 'ads/1', first), 'utf8')
  t.equal((await cli(['log', 'erase', damaged, '--field', 'user', '--value', 'u1'])).code, 1)
  t.equal(await readFile(join(damaged, 'ads/1', first), 'utf8'), before, 'and stay as they are')
  const newer = await writeLog(t, { [first]: [{ ...record('r1', 1), schema: 2 as never }] })
  t.match((await cli(['log', 'tail', newer])).stderr, /has the schema 2/)
  for (const [changes, problem] of [
    [{ candidates: 5 }, '/candidates must be an array'],
    [{ candidates: [null] }, '/candidates/0 must be an object'],
    [{ candidates: [{ position: 0, served: { ctr: 'high' } }] }, '/candidates/0/served/ctr must be a number'],
    [{ ms: undefined }, '/ms is required'],
    [{ time: 'yesterday' }, '/time "yesterday" is none'],
    [{ sample_rate: 0 }, '/sample_rate must be'],
  ] as const) {
    const other = await writeLog(t, { [first]: [{ ...record('r1', 1), ...(changes as object) }] })
    const { code, stderr } = await cli(['log', 'stats', other])
    t.equal(code, 1)
    t.ok(stderr.includes(`${first}, line 1: ${problem}`), stderr)
  }
  const refused = { ...record('r1', 1), outcome: 'invalid_request', candidates: [{ position: 0, id: null, bid: null }] }
  const later = await writeLog(t, { [first]: [{ ...refused, sampled_by: 'moon' } as never] })
  t.equal((await cli(['log', 'stats', later])).code, 0, 'null for infinite numbers, and reasons of later releases')
  t.match((await cli(['log', 'tail', join(newer, 'none')])).stderr, /can't be read/)
  t.match((await cli(['log', 'tail', await temporaryFolder(t)])).stderr, /no files of a prediction log/)
})

t.test('files that are completed or removed while they are read, and copies of a killed process', async (t) => {
  const folder = await writeLog(t, { [first]: [record('r1', 1)], [third]: [record('\u2028', 5)] })
  const [complete, open] = (await logFiles(folder)) as [LogFile, LogFile]
  await rename(open.path, open.path.slice(0, -'.open'.length))
  t.match(await records(open), ['\u2028'], 'under its new name; a line ends at a line feed alone')
  t.same(await records({ ...complete, path: join(folder, 'none') }), [])
  const copy = join(folder, 'ads/1', `${first}.kept`)
  await writeFile(copy, 'from another process')
  const erasing = cli(['log', 'erase', folder, '--field', 'user', '--value', 'u1'])
  t.equal(await readFile(copy, 'utf8'), 'from another process', 'it stays')
  const old = Date.now() / 1000 - 61
  await utimes(copy, old, old)
  t.match(await erasing, { code: 0, stdout: /^1 record erased/ })
  t.same(await readdir(join(folder, 'ads/1')), [open.name.slice(0, -'.open'.length)])
})

async function records(file: LogFile): Promise<string[]> {
  const ids: string[] = []
  for await (const { record } of readRecords(file)) ids.push(record.request_id)
  return ids
}

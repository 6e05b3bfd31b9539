import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { murmur3 } from '../../../src/base/hash.ts'
import { CopyInUse } from '../../../src/prediction-log/copies.ts'
import { logFiles, readRecords } from '../../../src/prediction-log/log-records.ts'
import { convertFile } from '../../../src/prediction-log/parquet/convert-file.ts'
import type { LogRecord } from '../../../src/schemas/prediction-log.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli as cli } from '../../support/cli.ts'

const name = '20260102T030401000Z-a-1'
const record = (id: string, changes: object = {}) => ({
  ...{ schema: 1, time: '2026-01-02T03:04:05.678Z', instance: 'a', request_id: id, protocol: 'predict' },
  ...{ sampled_by: 'rate', sample_rate: 0.5, outcome: 'ok', ms: { total: 2 }, context: { user: id, hour: 20 } },
  candidates: [{ position: 0, id: 'ad-1', fields: { price: 0.1, tags: ['x'] }, served: { ctr: 1 / 3, cvr: null } }],
  ...changes,
})
const records = [
  record('r1'),
  record('r2', { context: { user: null, hour: 'no' } }),
  record('r3', { candidates: [], label: '"\0\ufffd' }),
]
const lines = (all: object[]) => all.map((one) => `${JSON.stringify(one)}\n`).join('')

async function writeLog(t: Test, text = lines(records)): Promise<string> {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'ads/1'), { recursive: true })
  await writeFile(join(folder, 'ads/1', `${name}.jsonl`), text)
  await writeFile(join(folder, 'ads/1/manifest-01.json'), '{}')
  return folder
}

async function read(folder: string) {
  const all: { text: string; record: object }[] = []
  for (const file of await logFiles(folder))
    for await (const { text, record } of readRecords(file)) all.push({ text, record })
  return all
}

const list = async (folder: string) => (await readdir(join(folder, 'ads/1'))).sort()

t.test('files are converted in their places, and back, with the same records', async (t) => {
  const folder = await writeLog(t)
  t.match(await cli(['log', 'convert', folder]), { code: 0, stdout: '3 records of 1 file converted\n' })
  t.same(await list(folder), [`${name}.parquet`, 'manifest-01.json'])
  const all = await read(folder)
  t.same(
    all.map(({ record }) => record),
    records,
  )
  t.same(
    all.map(({ text }) => JSON.parse(text)),
    records,
  )
  t.match((await cli(['log', 'stats', folder])).stdout, /1 file,/)
  t.match(await cli(['log', 'convert', folder]), { code: 0, stdout: /^0 records of 0 files/ })
  t.equal((await cli(['log', 'convert', folder, '--format', 'jsonl'])).code, 0)
  t.same(await list(folder), [`${name}.jsonl`, 'manifest-01.json'])
  t.same(
    (await read(folder)).map(({ record }) => record),
    records,
  )
})

t.test('another folder gets the files, and what lies beside them', async (t) => {
  const folder = await writeLog(t)
  const to = join(await temporaryFolder(t), 'new')
  t.equal((await cli(['log', 'convert', folder, '--to', to])).code, 0)
  t.same(await list(folder), [`${name}.jsonl`, 'manifest-01.json'])
  t.same(await list(to), [`${name}.parquet`, 'manifest-01.json'])
})

t.test('halves of surrogate pairs in older files become U+FFFD', async (t) => {
  const escaped = String.raw`\\ud800 \ud83d\ude00 \uD83D\uDE00 \ud800 \uDFFF \ud800\ud83d\ude00 \"\ude00`
  const folder = await writeLog(t, lines([record('r1')]).replace('ad-1', escaped))
  const id = '\\ud800 😀 😀 \ufffd \ufffd \ufffd😀 "\ufffd'
  t.match(await read(folder), [{ record: { candidates: [{ id }] } }])
  t.equal((await cli(['log', 'convert', folder])).code, 0)
  t.match(await read(folder), [{ record: { candidates: [{ id }] } }])
})

t.test('another folder gets copies of files that have the format', async (t) => {
  const folder = await writeLog(t)
  const later = '20260102T030402000Z-a-1'
  await cli(['log', 'convert', folder])
  await writeFile(join(folder, 'ads/1', `${later}.jsonl`), lines([record('r9')]))
  const to = join(await temporaryFolder(t), 'new')
  const args = ['log', 'convert', folder, '--to', to]
  for (const _ of ['into an empty folder', 'again'])
    t.match(await cli(args), { code: 0, stdout: '1 record of 1 file converted\n1 file copied that had the format\n' })
  t.same(await list(to), [`${name}.parquet`, `${later}.parquet`, 'manifest-01.json'])
  t.same(
    (await read(to)).map(({ record }) => record),
    [...records, record('r9')],
  )
  t.match(await cli([...args, '--format', 'jsonl']), {
    code: 0,
    stdout: /^3 records of 1 file converted\n1 file copied/,
  })
  t.equal((await read(to)).length, 4)
})

t.test('commands read one file, whatever its name', async (t) => {
  const folder = await writeLog(t)
  const file = join(await temporaryFolder(t), 'sample.jsonl')
  t.equal((await cli(['log', 'sample', folder, '--rate', '1', '--out', file])).code, 0)
  t.match(await cli(['log', 'stats', file]), { code: 0, stdout: /^1 file,/ })
  t.match(await cli(['log', 'tail', file, '--rows', '1']), { code: 0, stdout: /"request_id":"r3"/ })
  t.match(await cli(['log', 'convert', file]), { code: 0, stdout: '3 records of 1 file converted\n' })
  const converted = file.replace('jsonl', 'parquet')
  t.match(await cli(['log', 'erase', converted, '--field', 'user', '--value', 'r1']), { code: 0, stdout: /^1 record / })
  t.match(await cli(['log', 'convert', converted, '--format', 'jsonl', '--to', join(folder, 'to')]), { code: 0 })
  t.same(await readdir(join(folder, 'to')), ['sample.jsonl'])
  t.match(await cli(['log', 'sample', folder, '--rate', '1', '--out', 'x.parquet']), {
    code: 1,
    stderr: /end in \.jsonl/,
  })
  const single = join(folder, 'to/sample.jsonl')
  await writeFile(single, lines([record('r7')]))
  t.match(await cli(['log', 'erase', single, '--field', 'user', '--value', 'r7']), {
    code: 0,
    stdout: /^1 record erased/,
  })
})

t.test('a damaged line is named, or left out where that is asked for', async (t) => {
  const folder = await writeLog(t, `${lines(records)}{"schema":1,\n`)
  const before = await readFile(join(folder, 'ads/1', `${name}.jsonl`), 'utf8')
  const refused = await cli(['log', 'convert', folder])
  t.equal(refused.code, 1)
  t.match(refused.stderr, new RegExp(`${name}.jsonl, line 4: `))
  t.same(await list(folder), [`${name}.jsonl`, 'manifest-01.json'], 'nothing is left of it')
  t.equal(await readFile(join(folder, 'ads/1', `${name}.jsonl`), 'utf8'), before)
  t.match(await cli(['log', 'convert', folder, '--skip-damaged']), { code: 0, stdout: /1 damaged line left out/ })
  t.equal((await read(folder)).length, 3)
})

t.test('a damaged file does not keep a command from the others', async (t) => {
  const folder = await writeLog(t, `${lines(records)}{"schema":1,\n`)
  const later = '20260102T030402000Z-a-1'
  await writeFile(join(folder, 'ads/1', `${later}.jsonl`), lines([record('r9'), record('r1')]))
  const named = new RegExp(`${name}.jsonl, line 4: `)
  for (const args of [['stats'], ['tail'], ['sample', '--rate', '1', '--out', join(folder, 'sample.jsonl')]]) {
    const [command, ...options] = args as [string, ...string[]]
    t.match(await cli(['log', command, folder, ...options]), { code: 1, stderr: named }, command)
    const skipped = await cli(['log', command, folder, ...options, '--skip-damaged'])
    t.match(skipped, { code: 0, stderr: named }, `${command} without it`)
  }
  t.equal((await readFile(join(folder, 'sample.jsonl'), 'utf8')).trim().split('\n').length, 5)
  const converted = await cli(['log', 'convert', folder])
  t.match(converted, { code: 1, stdout: '2 records of 1 file converted\n', stderr: /not converted: 1 damaged file/ })
  t.match(converted.stderr, named)
  t.same(await list(folder), [`${name}.jsonl`, `${later}.parquet`, 'manifest-01.json'])
  const erased = await cli(['log', 'erase', folder, '--field', 'user', '--value', 'r1'])
  t.match(erased, {
    code: 1,
    stdout: /^1 record erased from 1 of 2 files/,
    stderr: /nothing was erased from: 1 damaged/,
  })
  const odd = join(folder, 'ads/1/manifest-01.json')
  t.match(await cli(['log', 'stats', odd]), { code: 1, stderr: /has no files .* or a \.jsonl or \.parquet file/ })
})

t.test('a file that another process changes is left to it', async (t) => {
  const folder = await writeLog(t)
  const copy = join(folder, 'ads/1', `${name}.jsonl.kept`)
  await writeFile(copy, 'theirs')
  t.match(await cli(['log', 'convert', folder]), { code: 1, stderr: /another process changes it/ })
  t.equal(await readFile(copy, 'utf8'), 'theirs')
})

t.test('records are erased from Parquet files; of two files of one name one counts', async (t) => {
  const folder = await writeLog(t)
  await cli(['log', 'convert', folder])
  const erase = (value: string) => cli(['log', 'erase', folder, '--field', 'user', '--value', value])
  t.match(await erase('r1'), { code: 0, stdout: /^1 record erased from 1 of 1 file/ })
  t.same(
    (await read(folder)).map(({ record }) => record),
    records.slice(1),
  )
  await writeFile(join(folder, 'ads/1', `${name}.jsonl`), lines(records))
  t.equal((await read(folder)).length, 3)
  t.match(await erase('r3'), { code: 0, stdout: /^1 record erased/ })
  t.same(await list(folder), [`${name}.jsonl`, 'manifest-01.json'], 'the other one still had the record')
  await cli(['log', 'convert', folder])
  await erase('r1')
  const path = join(folder, 'ads/1', `${name}.parquet`)
  await writeFile(path, (await readFile(path)).subarray(0, 100))
  t.match((await cli(['log', 'stats', folder])).stderr, /\.parquet, is no Parquet file/)
})

t.test('while files are converted, records are erased, and no others are', async (t) => {
  const ids = Array.from({ length: 30 }, (_, i) => `r${i}`)
  const folder = await writeLog(t, lines(ids.map((id) => record(id))))
  const path = join(folder, 'ads/1', name)
  let isOver = false
  async function convert() {
    let count = 0
    for (let from = 'jsonl', to = 'parquet'; !isOver; [from, to] = [to, from])
      try {
        await convertFile({ source: `${path}.${from}`, target: `${path}.${to}`, inPlace: true })
        count++
        // Two that convert all the time would leave no moment for anyone else.
        await wait(40)
      } catch (error) {
        if (!(error instanceof CopyInUse)) throw error
      }
    return count
  }
  const converters = Array.from({ length: 2 }, convert)
  const erased = ids.filter((_, i) => i % 3 === 0)
  for (const value of erased) {
    const done = await cli(['log', 'erase', folder, '--field', 'user', '--value', value])
    t.match(done, { code: 0, stdout: /^1 record erased/ })
  }
  isOver = true
  t.ok((await Promise.all(converters))[0]! > 0)
  t.same(
    (await read(folder)).map(({ record }) => (record as LogRecord).request_id),
    ids.filter((id) => !erased.includes(id)),
  )
})

t.test('a sample has the records of the smallest hashes, with the share of both', async (t) => {
  const all = Array.from({ length: 200 }, (_, i) => record(`r${i}`)).filter(
    ({ request_id }) => murmur3(request_id, 0) / 2 ** 32 < 0.5,
  )
  const folder = await writeLog(t, lines(all))
  const out = join(await temporaryFolder(t), 'sample.jsonl')
  const args = ['log', 'sample', folder, '--rate', '.2', '--out', out]
  t.equal((await cli(args)).code, 0)
  const kept = (await readFile(out, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as (typeof all)[number])
  const expected = all.filter(({ request_id }) => murmur3(request_id, 0) / 2 ** 32 < 0.1)
  t.ok(expected.length > 0)
  t.same(
    kept,
    expected.map((one) => ({ ...one, sample_rate: 0.1 })),
  )
  t.match(await cli(args), { code: 1, stderr: /can't be written/ }, 'a file that is there stays')
})

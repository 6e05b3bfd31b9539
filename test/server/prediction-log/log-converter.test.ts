import { appendFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { copyOf } from '../../../src/prediction-log/copies.ts'
import { isLeftTo } from '../../../src/server/prediction-log/file-owner.ts'
import { createLogConverter } from '../../../src/server/prediction-log/log-converter.ts'
import { parquetScript } from '../../../src/server/prediction-log/parquet-script.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { emitErrorFirst } from '../../support/error-first.ts'
import { until } from '../../support/until.ts'

const name = (millisecond: number) => `20260102T03040500${millisecond}Z-a-${process.pid}.jsonl`
const facts = {
  ...{ schema: 1, time: '2026-01-02T03:04:05.000Z', instance: 'a', protocol: 'predict', outcome: 'ok' },
  ...{ sampled_by: 'rate', sample_rate: 1, ms: { total: 1 } },
}
const line = (id: string) => `${JSON.stringify({ ...facts, request_id: id })}\n`

async function files(t: Test, contents: string[], script = parquetScript) {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'ads/1'), { recursive: true })
  const path = (number: number) => join(folder, 'ads/1', name(number))
  for (const [number, text] of contents.entries()) await writeFile(path(number), text)
  const failures: string[] = []
  const onFailure = (file: string, reason: string) => failures.push(`${file}: ${reason}`)
  const converter = createLogConverter({ folder, instance: 'a', script, onFailure })
  t.teardown(() => converter.close())
  const list = async () => (await readdir(join(folder, 'ads/1'))).sort().map((file) => file.replace(/Z-a-\d+/, ''))
  return { folder, converter, failures, path, list }
}

t.test('a file that is damaged keeps its lines, is said once, and tried again when it has changed', async (t) => {
  const { converter, failures, path, list } = await files(t, [line('0'), 'no record\n', line('2')])
  await writeFile(copyOf(path(2)), 'of another process')
  converter.look()
  await until(async () => converter.state.ok === 1 && converter.state.failed === 1)
  await writeFile(path(3), line('3'))
  converter.look()
  await until(() => converter.state.ok === 2)
  await converter.close()
  t.equal(failures.length, 1)
  t.match(failures[0], /line 1: /)
  t.same(await list(), [
    '20260102T030405000.parquet',
    '20260102T030405001.jsonl',
    '20260102T030405002.jsonl',
    '20260102T030405002.jsonl.kept',
    '20260102T030405003.parquet',
  ])
})

t.test('a damaged file that has become larger is tried again', async (t) => {
  const { converter, path } = await files(t, [`{`])
  converter.look()
  await until(() => converter.state.failed === 1)
  await appendFile(path(0), `}\n${line('0')}`)
  await until(() => {
    converter.look()
    return converter.state.failed > 1
  })
})

for (const order of ['message', 'error'])
  t.test(`a thread that ends gives up its file alone, ${order} first; a full disk ends a pass`, async (t) => {
    if (order === 'error') emitErrorFirst(t, (message) => (message as { outcome?: string }).outcome === 'begun')
    const folder = await temporaryFolder(t)
    const script = join(folder, 'thread.mjs')
    await writeFile(
      script,
      `import { parentPort, workerData } from 'node:worker_threads'
    import { rmSync } from 'node:fs'
    const path = workerData[0]
    parentPort.postMessage({ path, outcome: 'begun' })
    if (path.includes('000Z')) throw new Error('out of memory')
    if (path.includes('001Z')) {
      const failed = { outcome: 'failed', reason: 'ENOSPC', isLasting: false }
      for (let i = 0; i < 2; i++) parentPort.postMessage({ path, ...failed })
    }
    if (path.includes('002Z')) rmSync(path)
    parentPort.postMessage({ path, outcome: 'ok' })`,
    )
    const { converter, failures } = await files(t, [line('0'), line('1')], pathToFileURL(script))
    converter.look()
    await until(() => converter.state.ok === 1)
    t.equal(converter.state.failed, 3)
    t.match(failures, [/000Z.*: out of memory/, /001Z.*: ENOSPC/])
  })

t.test('closing gives up the file that is being converted, and leaves nothing of it', async (t) => {
  const { converter, list } = await files(t, [line('0').repeat(100_000), line('1')])
  converter.look()
  await until(async () => (await list()).some((file) => file.endsWith('.kept')))
  await Promise.all([converter.close(), converter.close()])
  t.same(await list(), ['20260102T030405000.jsonl', '20260102T030405001.jsonl'])
  converter.look()
  t.same(converter.state, { ok: 0, failed: 0 })
})

t.test('files of processes that live are left to them', (t) => {
  const now = 1e12
  const lives = `20260102T030405000Z-a_1-${process.ppid}.jsonl`
  const dead = `20260102T030405000Z-a_1-${2 ** 22 + 1}-2.jsonl`
  const by = (path: string, instance = 'a-1', age = 0) => isLeftTo({ instance, now }, path, now - age)
  t.equal(by(name(0), 'a'), true, 'its own')
  t.equal(by(dead), true)
  t.equal(by(lives), false)
  t.equal(by(dead, 'b'), false, 'of another machine')
  t.equal(by(lives, 'a-1', 600_000), true)
  t.end()
})

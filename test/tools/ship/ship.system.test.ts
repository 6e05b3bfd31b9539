import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { startProcess } from '../../support/process.ts'
import { startCommand } from '../../support/sync.ts'
import { until } from '../../support/until.ts'

/*
 * The real `multigate log ship` into a folder; ship.platform.test.ts has the buckets.
 */

const nameOf = (i: number) => `20260102T0304${String(i).padStart(2, '0')}000Z-a-1.jsonl`

async function writeLog(t: Test, files: number, bytes: number) {
  const root = await temporaryFolder(t)
  const [folder, to] = [join(root, 'log'), join(root, 'to')]
  mkdirSync(join(folder, 'ads/1'), { recursive: true })
  for (let i = 0; i < files; i++) writeFileSync(join(folder, 'ads/1', nameOf(i)), Buffer.alloc(bytes, `${i} `))
  return { folder, to }
}

t.test('the log of a server is shipped beside it, with what it finishes when it stops', async (t) => {
  const { folder, to } = await writeLog(t, 0, 0)
  const server = await startProcess(t, { MULTIGATE_PREDICTION_LOG: folder, MULTIGATE_PREDICTION_LOG_SAMPLE: '1' })
  const ship = startCommand(t, ['log', 'ship', folder, '--to', to, '--interval', '3600', '--port', '0'])
  await until(() => /metrics are served/.test(ship.output()))
  const metricsAt = /"address":"(http:[^"]+)"/.exec(ship.output())![1]
  t.equal(await (await fetch(`${metricsAt}/livez`)).text(), 'ok\n')
  const metric = async (name: string) => {
    const lines = (await (await fetch(`${metricsAt}/metrics`)).text()).split('\n')
    return Number(
      lines
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    )
  }
  await until(async () => (await metric('multigate_log_ship_passes_total{outcome="ok"}')) === 1)
  t.ok((await metric('multigate_log_ship_last_success_timestamp_seconds')) > 0)
  const answer = await fetch(`http://127.0.0.1:${server.port}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ context: {}, candidates: [{}] }),
  })
  await answer.arrayBuffer()
  const recorded = () => readdirSync(folder, { recursive: true }).some((path) => String(path).endsWith('.jsonl.open'))
  await until(recorded)
  server.child.kill('SIGTERM')
  await until(() => !recorded())
  ship.child.kill('SIGTERM')
  t.equal(await ship.ended, 0, ship.output())
  const names = (readdirSync(folder, { recursive: true }) as string[]).filter((path) => /json/.test(path)).sort()
  t.ok(names.some((name) => name.endsWith('.jsonl')))
  for (const name of names) t.ok(readFileSync(join(to, name)).equals(readFileSync(join(folder, name))), name)
})

t.test('killed at any moment, no half file has a name, and the next run does the rest', async (t) => {
  const bytes = 4_000_000
  const { folder, to } = await writeLog(t, 30, bytes)
  const shipped = () => (existsSync(join(to, 'ads/1')) ? readdirSync(join(to, 'ads/1')) : [])
  for (const least of [1, 5, 12]) {
    const ship = startCommand(t, ['log', 'ship', folder, '--to', to])
    await until(() => shipped().length >= least)
    ship.child.kill('SIGKILL')
    await ship.ended
    for (const name of shipped())
      t.ok(readFileSync(join(to, 'ads/1', name)).equals(readFileSync(join(folder, 'ads/1', name))), name)
  }
  const { code } = await runCli(['log', 'ship', folder, '--to', to, '--remove-days', '0'])
  t.equal(code, 0)
  t.equal(shipped().length, 30)
  t.same(readdirSync(join(folder, 'ads/1')), [])
  t.same(readdirSync(join(to, '.unfinished')), [])
})

t.test('wrong usage, and files that can not be shipped', async (t) => {
  const { folder, to } = await writeLog(t, 1, 10)
  const run = (...args: string[]) => runCli(['log', 'ship', folder, ...args])
  t.match(await run(), { code: 2, stderr: /--to/ })
  t.match(await run('--to', 'https://me:secret@host/x'), {
    code: 1,
    stderr: /^https:\/\/…@host\/x: --to takes a folder, s3:\/\/ and gs:\/\//,
  })
  t.match(await run('--to', join(folder, 'archive')), { code: 1, stderr: /is inside of/ })
  t.match(await run('--to', folder), { code: 1, stderr: /is inside of/ })
  t.match(await run('--to', to, '--interval', '0'), { code: 2 })
  mkdirSync(join(to, 'ads/1'), { recursive: true })
  writeFileSync(join(to, 'ads/1', nameOf(0)), 'other')
  const failed = startCommand(t, ['log', 'ship', folder, '--to', to])
  t.equal(await failed.ended, 1)
  t.match(failed.output(), /"reason":"[^"]+ exists with other content than [^"]+","msg":"not shipped"/)
  const none = startCommand(t, ['log', 'ship', join(folder, 'none'), '--to', to])
  t.equal(await none.ended, 1)
  t.match(none.output(), /none can't be read: ENOENT/)
})

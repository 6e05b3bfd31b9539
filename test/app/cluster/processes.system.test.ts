import { existsSync, readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import t, { type Test } from 'tap'
import { youngGeneration } from '../../../src/app/v8-flags.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { type Answer, type Process, portOf, run, send } from '../../support/process.ts'
import { askAnew, keepAsking, metric, serving, startTwo } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const rows = Array.from({ length: 20 }, (_, i) => ({ campaign: `c${i}`, price: i }))
const body = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: rows })
const start = (t: Test, variables: Record<string, string> = {}): Promise<Process & { port: number }> =>
  startTwo(t, { MULTIGATE_MODELS: models, ...variables })

t.test('connections are spread evenly, metrics are of all, and a start that fails says so once', async (t) => {
  const server = await start(t, { MULTIGATE_LOG_REQUESTS: 'true' })
  const { port, lines, child, ended } = server
  const agents = Array.from({ length: 8 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  for (const agent of agents) {
    for (let i = 0; i < 3; i++) t.equal((await send(port, '/predict', { agent, payload: body })).status, 200)
  }
  t.equal(await metric(port, 'multigate_requests_total{'), 24)
  t.equal(await metric(port, 'multigate_rows_total{'), 24 * rows.length)
  t.equal(await metric(port, 'multigate_request_duration_seconds_count{'), 24)
  t.equal(await metric(port, 'multigate_processes '), 2)
  for (const pid of serving(server)) {
    const command = `/proc/${pid}/cmdline`
    if (existsSync(command)) t.match(readFileSync(command, 'utf8'), youngGeneration)
  }
  t.equal(await metric(port, 'multigate_workers '), 2)
  t.equal(await metric(port, 'multigate_model_info{'), 1)
  t.equal((await send(port, '/livez')).status, 200)
  const answered = lines().filter(({ msg, url }) => msg === 'request' && url === '/predict')
  const counts = serving(server).map((pid) => answered.filter((line) => line.pid === pid).length)
  t.same(counts, [12, 12])
  t.notOk(serving(server).includes(child.pid!), 'the primary process serves nothing')
  for (const agent of agents) agent.destroy()

  const variables = { MULTIGATE_PROCESSES: '2', MULTIGATE_MODELS: models }
  const second = run(t, { ...variables, MULTIGATE_PORT: String(port) })
  t.equal(await second.ended, 1)
  t.match(second.stderr(), new RegExp(`^multigate can't start: .*EADDRINUSE.*${port}; --port chooses another\n$`))
  const wrong = run(t, { ...variables, MULTIGATE_PORT: 'many' })
  t.equal(await wrong.ended, 1)
  t.match(wrong.stderr(), /^multigate can't start: MULTIGATE_PORT .*\n$/)

  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.equal(lines().filter(({ msg }) => msg === 'stopped').length, 2)
  t.equal(lines().at(-1).msg, 'all processes stopped')
})

t.test('it is ready when all are, and nothing is compiled twice', async (t) => {
  const server = run(t, {
    MULTIGATE_PORT: '0',
    MULTIGATE_PROCESSES: '2',
    MULTIGATE_MODELS: models,
    MULTIGATE_WORKERS: '1',
    MULTIGATE_CACHE: await temporaryFolder(t),
  })
  const { stdout, lines } = server
  const port = await portOf(server)
  const reasons = new Set<string>()
  await until(async () => {
    const { status, text } = await askAnew(port, '/readyz')
    if (status === 503) for (const reason of JSON.parse(text).reasons) reasons.add(reason)
    return status === 200
  })
  t.match([...reasons].join('\n'), /process 2 of 2 is yet to be started/)
  t.equal((await askAnew(port, '/v2/health/ready')).status, 200)
  await until(() => /all processes are ready/.test(stdout()))
  const order = lines().flatMap(({ msg, pid }) => (msg === 'loading models' || msg === 'ready' ? [[msg, pid]] : []))
  const first = serving(server)[0]
  t.same(order.slice(0, 2), [
    ['loading models', first],
    ['ready', first],
  ])
  t.equal(order.length, 4)
})

for (const [name, signal] of [
  ['the primary process', ({ child }: Process) => child.kill('SIGTERM')],
  ['one that serves', (server: Process) => process.kill(serving(server)[1]!, 'SIGTERM')],
  [
    'all, as a terminal does',
    (server: Process) => {
      for (const pid of [...serving(server), server.child.pid!]) process.kill(pid, 'SIGINT')
    },
  ],
] as const) {
  t.test(`a signal to ${name} stops all, and loses nothing under load`, async (t) => {
    const server = await start(t, { MULTIGATE_DRAIN_DELAY_MS: '500' })
    const { port, ended, lines } = server
    const answers: Answer[] = []
    const clients = Array.from({ length: 4 }, () => keepAsking(port, body, answers))
    await until(() => answers.filter(({ reused }) => reused).length > 50)
    signal(server)
    await until(async () => (await askAnew(port, '/readyz')).status === 503)
    await Promise.all(clients)
    t.equal(await ended, 0)
    // A connection that was just about to be accepted when the listener went is reset by the kernel, with nothing read.
    for (const { status, error, reused } of answers) {
      if (status !== 200) t.ok(!reused && /^ECONN(?:REFUSED|RESET)$/.test(error ?? ''), `${status} ${error} ${reused}`)
    }
    t.ok(answers.some(({ connection }) => connection === 'close'))
    t.equal(lines().filter(({ msg }) => msg === 'stopped').length, 2)
    t.same(
      lines().filter(({ level }) => level > 30),
      [],
    )
  })
}

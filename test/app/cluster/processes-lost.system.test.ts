import { Agent } from 'node:http'
import t, { type Test } from 'tap'
import { childrenOf } from '../../../loadtest/chaos/processes.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { type Answer, type Process, run, send } from '../../support/process.ts'
import { askAnew, isAlive, keepAsking, metric, serving, startTwo } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const rows = Array.from({ length: 20 }, (_, i) => ({ campaign: `c${i}`, price: i }))
const body = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: rows })
const start = (t: Test, variables: Record<string, string> = {}): Promise<Process & { port: number }> =>
  startTwo(t, { MULTIGATE_MODELS: models, ...variables })

const onLinux = { skip: process.platform === 'linux' ? false : 'the processes are found in /proc' }
const preload = `--import ${new URL('../../support/preload.js', import.meta.url)}`

t.test('a process that is killed under load is replaced; only what it held fails, and counters go on', async (t) => {
  const server = await start(t)
  const { port, child, ended, lines } = server
  const answers: Answer[] = []
  let going = true
  const clients = Array.from({ length: 8 }, () => keepAsking(port, body, answers, () => going))
  await until(() => answers.length > 100)
  const counted = 'multigate_requests_total{model="ads",version="1",outcome="ok"}'
  const before = await metric(port, counted)
  const victim = serving(server)[0]!
  const killed = answers.length
  process.kill(victim, 'SIGKILL')
  const ready = new Set<number | undefined>()
  const processes = new Set<number>()
  await until(async () => {
    ready.add((await askAnew(port, '/readyz')).status)
    return (await metric(port, 'multigate_processes_replaced_total ')) === 1
  })
  t.ok((await metric(port, counted)) >= before, 'counters do not go down')
  await until(async () => {
    processes.add(await metric(port, 'multigate_processes '))
    return lines().filter(({ msg }) => msg === 'ready').length === 3
  })
  await until(async () => (await metric(port, 'multigate_processes ')) === 2)
  t.ok(processes.has(1), 'one that loads its models does not serve yet')
  const replaced = answers.length
  await until(() => answers.length > replaced + 100)
  going = false
  await Promise.all(clients)

  // Its four connections break, each with one request at most.
  const failed = answers.filter(({ status }) => status !== 200)
  t.ok(failed.length <= clients.length / 2, JSON.stringify(failed))
  t.equal(answers.slice(0, killed).filter(({ status }) => status !== 200).length, 0)
  for (const { error } of failed) t.match(error, /^(?:ECONNRESET|EPIPE)$/)
  t.same([...ready], [200], 'it stays ready')
  const died = lines().find(({ msg }) => msg.startsWith('a process died'))
  t.match(died, { level: 50, process: victim, ended: 'SIGKILL', delay_ms: 0 })
  t.notOk(isAlive(victim))
  child.kill('SIGTERM')
  t.equal(await ended, 0)
})

t.test('where the primary process is killed, the others answer what they have, and end', async (t) => {
  const server = await start(t)
  const pids = serving(server)
  const agents = pids.map(() => new Agent({ keepAlive: true, maxSockets: 1 }))
  for (const agent of agents) t.equal((await send(server.port, '/livez', { agent })).status, 200)
  server.child.kill('SIGKILL')
  await until(() => server.lines().filter(({ msg }) => msg.startsWith('stopping')).length === 2)
  for (const agent of agents) {
    const answer = await send(server.port, '/predict', { agent, payload: body })
    t.match(answer, { status: 200, reused: true, connection: 'close' })
  }
  // It ends when nobody has its output open any more.
  t.equal(await server.ended, 'SIGKILL')
  t.equal(server.lines().filter(({ msg }) => msg === 'stopped').length, 2)
  await until(() => !pids.some(isAlive))
})

t.test('a process that hangs holds up neither metrics nor probes', async (t) => {
  const server = await start(t)
  const { port } = server
  const [, second] = serving(server)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.equal((await send(port, '/predict', { agent, payload: body })).status, 200)
  t.equal((await send(port, '/predict', { payload: body })).status, 200)
  t.equal(await metric(port, 'multigate_requests_total{'), 2)
  process.kill(second!, 'SIGSTOP')
  t.teardown(() => isAlive(second!) && process.kill(second!, 'SIGKILL'))
  // On a connection that the first process has.
  const { text } = await send(port, '/metrics', { agent })
  t.match(text, /^multigate_requests_total\{.*outcome="ok"\} 2$/m, 'it counts with what it last said')
  t.match(text, /^multigate_workers 1$/m)
  t.match(text, /^multigate_processes 1$/m, 'it does not count as one that serves')
  t.match(text, /^multigate_processes_configured 2$/m)
  t.equal((await send(port, '/readyz', { agent })).status, 200)
  process.kill(second!, 'SIGCONT')
  await until(async () => /^multigate_processes 2$/m.test((await send(port, '/metrics', { agent })).text))
  const told = server.lines().filter(({ process }) => process === second)
  t.match(told, [
    { level: 40, msg: /^a process does not answer/ },
    { level: 30, msg: 'a process answers again' },
  ])
  process.kill(second!, 'SIGSTOP')

  // Half of these were given to the one that hangs: when it is gone the other answers them.
  const answers = Promise.all(
    Array.from({ length: 4 }, () => send(port, '/predict', { agent: new Agent(), payload: body })),
  )
  t.equal((await send(port, '/livez', { agent })).status, 200)
  agent.destroy()
  process.kill(second!, 'SIGKILL')
  for (const { status } of await answers) t.equal(status, 200)

  await t.test(
    'where all processes have died again and again, requests are answered until one serves',
    onLinux,
    async (t) => {
      const kill = () => {
        // Those that are still starting, too.
        for (const pid of childrenOf(server.child.pid!)) process.kill(pid, 'SIGKILL')
      }
      let refused: Answer | undefined
      await until(async () => {
        kill()
        const answer = await send(port, '/predict', { agent: new Agent(), payload: body })
        if (answer.text.includes('No process serves')) refused = answer
        return refused !== undefined
      })
      t.match(refused, { status: 503, connection: 'close' })
      t.equal(JSON.parse(refused!.text).code, 'NOT_READY')
      const statuses = new Set<number | undefined>()
      await until(async () => {
        const { status } = await send(port, '/predict', { agent: new Agent(), payload: body })
        statuses.add(status)
        return status === 200
      })
      t.notOk(statuses.has(404))
      server.child.kill('SIGTERM')
      t.equal(await server.ended, 0)
    },
  )
})

t.test('a second signal ends all at once', async (t) => {
  const server = await start(t, { MULTIGATE_DRAIN_DELAY_MS: '600000' })
  const { child, ended, stdout } = server
  child.kill('SIGTERM')
  await until(() => stdout().includes('stopping'))
  child.kill('SIGTERM')
  t.equal(await ended, 1)
  t.notMatch(stdout(), /"msg":"stopped"/)
  await until(() => !serving(server).some(isAlive))
})

t.test('where a process ends by itself', async (t) => {
  const server = await start(t, { NODE_OPTIONS: preload })
  const { port, lines } = server
  const [first, second] = serving(server)

  await t.test('by an unforeseen error: it answers what it has, and is replaced', async (t) => {
    const answers: Answer[] = []
    let going = true
    const clients = Array.from({ length: 4 }, () => keepAsking(port, body, answers, () => going))
    await until(() => answers.length > 20)
    process.kill(first!, 'SIGWINCH')
    await until(async () => (await metric(port, 'multigate_processes_replaced_total ')) === 1)
    t.equal((await askAnew(port, '/readyz')).status, 200)
    going = false
    await Promise.all(clients)
    t.same(
      answers.filter(({ status }) => status !== 200),
      [],
    )
    const errors = lines().filter(({ level }) => level === 50)
    t.match(errors, [
      { pid: first, err: { message: 'something unforeseen' } },
      { process: first, ended: 1, delay_ms: 0, msg: /^a process died/ },
    ])
  })

  await t.test('by a fault: it is replaced, and the others go on', async (t) => {
    await until(async () => (await metric(port, 'multigate_processes ')) === 2)
    process.kill(second!, 'SIGSEGV')
    await until(async () => (await metric(port, 'multigate_processes_replaced_total ')) === 2)
    await until(async () => (await metric(port, 'multigate_processes ')) === 2)
    const died = lines().filter(({ msg }) => msg.startsWith('a process died'))
    t.match(died.at(-1), { process: second, ended: 'SIGSEGV' })
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
  })
})

t.test('where a process can not start there is no service', async (t) => {
  const { ended, stderr } = run(t, {
    MULTIGATE_PROCESSES: '2',
    MULTIGATE_PORT: '0',
    MULTIGATE_MODELS: models,
    NODE_OPTIONS: preload,
    BROKEN_WORKERS: '1',
  })
  t.equal(await ended, 1)
  t.match(stderr(), /multigate can't start: .*no threads today/)
})

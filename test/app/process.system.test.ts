import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { type Answer, type Process, run, send, startProcess } from '../support/process.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const start = (t: Test, variables: Record<string, string> = {}): Promise<Process & { port: number }> =>
  startProcess(t, { MULTIGATE_MODELS: models, ...variables })
const rows = Array.from({ length: 60 }, (_, i) => ({ campaign: `c${i}`, price: i }))
const body = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: rows })

t.test('it says where it listens, and that it is ready', async (t) => {
  const { port, lines, child, ended, stderr } = await start(t)
  t.ok(port > 0)
  const listening = lines().find(({ msg }) => msg.startsWith('listening at'))
  t.equal(listening.msg, `listening at http://127.0.0.1:${port}`)
  t.match(
    lines().find(({ msg }) => msg === 'ready'),
    { level: 30, models: ['ads/1'] },
  )
  t.equal((await send(port, '/predict', { payload: body })).status, 200)
  child.kill('SIGINT')
  t.equal(await ended, 0)
  t.equal(lines().at(-1).msg, 'stopped')
  t.equal(stderr(), '')
})

t.test('Ctrl-C twice ends the process immediately', async (t) => {
  const { child, ended, stdout } = await start(t, { MULTIGATE_DRAIN_DELAY_MS: '600000' })
  child.kill('SIGINT')
  await until(() => stdout().includes('"msg":"stopping'))
  // Those that come too soon to be a second one have no effect.
  await until(() => !child.kill('SIGINT') || child.exitCode !== null)
  t.equal(await ended, 130)
  t.match(stdout(), /"msg":"second SIGINT, exiting"/)
})

t.test('a wrong configuration lists all that is wrong, and ends with 1', async (t) => {
  const { ended, stderr, stdout } = run(
    t,
    { MULTIGATE_PORT: 'many', MULTIGATE_ENGINE: 'steam', MULTIGATE_WORKERS: '-1', MULTIGATE_LOG_REQUESTS: 'perhaps' },
    ['--max-queue-rows', '0.5'],
  )
  t.equal(await ended, 1)
  for (const name of ['PORT', 'ENGINE', 'WORKERS', 'LOG_REQUESTS', 'MAX_QUEUE_ROWS'])
    t.match(stderr(), new RegExp(`MULTIGATE_${name}`))
  t.notMatch(stderr(), /\n\s+at /, 'no stack')
  t.equal(stdout(), '')
})

t.test('--help explains every flag; an unknown one is refused', async (t) => {
  const help = run(t, {}, ['--help'])
  t.equal(await help.ended, 0)
  for (const flag of ['--host', '--port', '--models', '--engine', '--max-queue-rows', '--drain-delay-ms'])
    t.ok(help.stdout().includes(`${flag} <value>`), flag)
  t.match(help.stdout(), /MULTIGATE_PORT; default: 3000/)
  const unknown = run(t, {}, ['--prot', '3'])
  t.equal(await unknown.ended, 2)
  t.match(unknown.stderr(), /--prot/)
})

/** The server of the next two tests. */
const misspelt = await start(t, { MULTIGATE_MAX_QUEU_ROWS: '5' })

t.test('a variable that is most likely misspelt is warned of', async (t) => {
  const { lines } = misspelt
  const warnings = lines().filter(({ level }) => level === 40)
  t.match(warnings, [{ msg: /MULTIGATE_MAX_QUEU_ROWS is not a setting/ }])
})

t.test('a port in use is said', async (t) => {
  const { port } = misspelt
  const second = run(t, { MULTIGATE_PORT: String(port), MULTIGATE_MODELS: models })
  t.equal(await second.ended, 1)
  t.match(second.stderr(), new RegExp(`can't start: .*EADDRINUSE.*${port}; --port chooses another\n$`))
  const admin = run(t, { MULTIGATE_PORT: '0', MULTIGATE_ADMIN_PORT: String(port), MULTIGATE_MODELS: models })
  t.equal(await admin.ended, 1)
  t.match(admin.stderr(), new RegExp(`can't start: .*EADDRINUSE.*${port}; --admin-port chooses another\n$`))
})

t.test('SIGTERM under load loses nothing', async (t) => {
  const { port, child, ended, lines } = await start(t, { MULTIGATE_DRAIN_DELAY_MS: '700' })
  const answers: Answer[] = []
  // A connection that is idle the whole time, as a load balancer keeps some.
  const idle = new Agent({ keepAlive: true, maxSockets: 1 })
  t.equal((await send(port, '/livez', { agent: idle })).status, 200)
  const clients = Array.from({ length: 8 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (;;) {
      const answer = await send(port, '/predict', { agent, payload: body })
      answers.push(answer)
      if (answer.error !== undefined) return agent.destroy()
      await pause(2)
    }
  })
  await until(() => answers.filter(({ reused }) => reused).length > 50)
  child.kill('SIGTERM')
  await until(async () => (await send(port, '/readyz')).status === 503)
  const draining = await send(port, '/predict', { payload: body })
  t.same([draining.status, draining.connection], [200, 'close'])
  t.match(JSON.parse((await send(port, '/readyz')).text), { status: 'unavailable', reasons: ['shutting down'] })
  await Promise.all(clients)
  t.equal(await ended, 0)
  // Each client ends with the first connection that it is refused, and with nothing else. One that was just about to
  // be accepted when the listener went is reset by the kernel, before anything of it was read.
  const failed = answers.filter(({ status }) => status !== 200)
  t.equal(failed.length, clients.length)
  for (const { error, reused } of failed)
    t.ok(!reused && (error === 'ECONNREFUSED' || error === 'ECONNRESET'), `${error}, reused: ${reused}`)
  for (const { text, status } of answers) if (status === 200) t.equal(JSON.parse(text).predictions.length, rows.length)
  t.ok(answers.some(({ connection }) => connection === 'close'))
  t.equal(lines().at(-1).msg, 'stopped')
  idle.destroy()
})

t.test('a connection that is open when it stops may still ask', async (t) => {
  const { port, child, ended, stdout } = await start(t)
  const fresh = connect(port, '127.0.0.1')
  await once(fresh, 'connect')
  const used = new Agent({ keepAlive: true, maxSockets: 1 })
  t.equal((await send(port, '/livez', { agent: used })).status, 200)
  child.kill('SIGTERM')
  await until(async () => (await send(port, '/livez')).error === 'ECONNREFUSED')
  const again = await send(port, '/predict', { agent: used, payload: body })
  t.same([again.status, again.reused, again.connection], [200, true, 'close'])
  let text = ''
  fresh.setEncoding('utf8').on('data', (part) => (text += part))
  fresh.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(fresh, 'close')
  t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close/)
  t.equal(await ended, 0)
  t.match(stdout(), /"msg":"stopped"/)
})

t.test('clients that go away are given up, and the server goes on', async (t) => {
  const { port } = await start(t)
  const many = JSON.stringify({
    context: { country: 'DE', hour: 21 },
    candidates: Array.from({ length: 3000 }, (_, i) => ({ campaign: `c${i}`, price: i })),
  })
  const head = `POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${many.length}\r\n\r\n`
  const metric = async (pattern: RegExp) => {
    const { text } = await send(port, '/metrics')
    return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0)
  }
  const accepted = /^multigate_rows_total\{.*\} (\d+)$/gm
  const before = await metric(accepted)

  // Half a body, then nothing.
  const half = connect(port, '127.0.0.1')
  await new Promise<void>((resolve) => half.write(head + many.slice(0, 1000), () => resolve()))
  half.destroy()
  t.equal((await send(port, '/predict', { payload: body })).status, 200)
  t.equal(await metric(accepted), before + rows.length, 'what arrived in part is not computed')

  // A whole body, then gone: until one is caught before its answer.
  while ((await metric(/^multigate_cancelled_total\{.*\} (\d+)$/gm)) === 0) {
    const socket = connect(port, '127.0.0.1')
    await new Promise<void>((resolve) => socket.write(head + many, () => resolve()))
    socket.destroy()
  }
  t.ok((await metric(/^multigate_requests_total\{.*outcome="cancelled"\} (\d+)$/gm)) > 0)
  t.equal((await send(port, '/predict', { payload: body })).status, 200)
  await until(async () => (await metric(/^multigate_(?:queue_rows|in_flight_batches)\{.*\} (\d+)$/gm)) === 0)
})

t.test('a second SIGTERM ends it at once', async (t) => {
  const { child, ended, stdout } = await start(t, { MULTIGATE_DRAIN_DELAY_MS: '600000' })
  child.kill('SIGTERM')
  await until(() => stdout().includes('stopping'))
  child.kill('SIGTERM')
  t.not(await ended, 0)
  t.notMatch(stdout(), /"msg":"stopped"/)
})

t.test('a body that never ends does not hold up the end', async (t) => {
  const { port, child, ended, lines } = await start(t)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  await new Promise<void>((resolve) =>
    socket.write(
      'POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
      () => resolve(),
    ),
  )
  // It has been read once another, later connection is answered.
  t.equal((await send(port, '/livez')).status, 200)
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  await closed
  t.equal(lines().at(-1).msg, 'stopped')
})

t.test('a fault ends it at once, as the system does: caught, it would break again for ever', async (t) => {
  const { child, ended, lines } = await start(t)
  child.kill('SIGSEGV')
  t.equal(await ended, 'SIGSEGV')
  t.equal(lines().at(-1).msg, 'ready', 'there was no farewell')
})

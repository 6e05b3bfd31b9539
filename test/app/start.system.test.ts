import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { surviveAcceptErrors } from '../../src/server/overload/connections.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { main } from '../support/entries.ts'
import { run } from '../support/process.ts'
import { isAlive, serving } from '../support/processes.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const variables = {
  MULTIGATE_MODELS: models,
  MULTIGATE_PORT: '0',
  MULTIGATE_WORKERS: '1',
  MULTIGATE_WARM_UP_MS: '0',
  MULTIGATE_DRAIN_DELAY_MS: '0',
}
const preload = new URL('../support/signal-at.js', import.meta.url).href

const signalledAt = (t: Test, module: string, signal: string, more: Record<string, string> = {}) =>
  run(t, { ...variables, MODULE: module, SIGNAL: signal, ...more }, [], ['--import', preload])

t.test('a signal at any moment of the start ends it with 0 and a log line', async (t) => {
  for (const module of ['configuration', 'run-server', 'listen', 'recorder', 'console']) {
    for (const signal of module === 'listen' ? ['SIGINT', 'SIGHUP'] : ['SIGTERM']) {
      const { ended, lines, stderr } = signalledAt(t, module, signal)
      t.equal(await ended, 0, `${signal} at ${module}`)
      t.match(lines().at(-1), { level: 30, pid: Number, msg: `${signal} before the start was over: stopped` }, module)
      t.equal(stderr(), '')
    }
  }
})

t.test('the line has the form that is set, and the level', async (t) => {
  const iso = signalledAt(t, 'configuration', 'SIGTERM', { MULTIGATE_LOG_FORMAT: 'iso' })
  t.equal(await iso.ended, 0)
  t.match(iso.lines(), [{ level: 'info', time: /^\d{4}-.*Z$/ }])
  const silent = signalledAt(t, 'configuration', 'SIGTERM', { MULTIGATE_LOG_LEVEL: 'warn' })
  t.equal(await silent.ended, 0)
  t.equal(silent.stdout(), '')
})

t.test('a signal as soon as it listens stops it as later', async (t) => {
  for (const message of ['listening at', 'loading models']) {
    const { child, ended, stdout, lines } = run(t, variables)
    await until(() => stdout().includes(message))
    child.kill('SIGTERM')
    t.equal(await ended, 0, message)
    t.match(lines().at(-1).msg, /stopped$/)
  }
})

t.test('several processes that are being started end with the primary one', async (t) => {
  for (const message of ['listening at', 'loading models']) {
    const server = run(t, { ...variables, MULTIGATE_PROCESSES: '2' })
    await until(() => server.stdout().includes(message))
    const children = serving(server)
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0, message)
    await until(() => children.every((pid) => !isAlive(pid)))
  }
})

t.test('a start without file descriptors says what to set; with hardly enough of them it serves', async (t) => {
  for (const files of process.env.FULL ? [30, 60, 120, 160] : [30, 60, 160]) {
    const { code, stdout, stderr } = await limited(t, files)
    if (files > 60 && code === 0) {
      t.match(stdout, `the limit of open files is ${files}, `)
      continue
    }
    t.equal(code, 1, String(files))
    t.match(stderr, /^multigate can't start: too few file descriptors \(.*\)\. Raise the limit: ulimit -n/s)
    t.notMatch(stderr, /\n\s+at /, 'no stack')
  }
})

/** The real process where so many files may be open; it is stopped when it has loaded its models. */
async function limited(t: Test, files: number): Promise<{ code: number; stdout: string; stderr: string }> {
  // The code that watches processes of tests would be the first to lack files.
  const command = `unset NODE_OPTIONS; ulimit -n ${files}; exec "$0" "$1"`
  const child = spawn('sh', ['-c', command, process.execPath, main], { env: { ...process.env, ...variables } })
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  const ready = /"msg":"(?:not )?ready"/
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    // A second signal would end the process with 1.
    const isStopping = ready.test(stdout)
    stdout += text
    if (!isStopping && ready.test(stdout)) child.kill('SIGTERM')
  })
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

t.test('a connection that can not be accepted is logged, once in a while, and ends nothing', async (t) => {
  const lines: object[] = []
  let time = 0
  const server: Server = createServer((socket) => socket.end())
  const log = { error: (details: object, message: string) => lines.push({ ...details, message }) }
  surviveAcceptErrors(server, log, () => time)
  server.listen(0)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const error = Object.assign(new Error('accept EMFILE'), { code: 'EMFILE', syscall: 'accept' })
  server.emit('error', error)
  server.emit('error', error)
  t.match(lines, [{ err: error, message: /too few file descriptors\. Raise the limit/ }])
  t.equal(lines.length, 1)
  time = 60_000
  server.emit('error', error)
  t.equal(lines.length, 2)
  const socket = connect((server.address() as { port: number }).port)
  await once(socket, 'connect')
  socket.destroy()
})

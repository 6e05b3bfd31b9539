import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer, Socket } from 'node:net'
import t, { type Test } from 'tap'
import { closeListener, stopListening } from '../../../src/server/overload/connections.ts'
import { until } from '../../support/until.ts'

async function start(t: Test) {
  const server = createServer((_, answer) => answer.setHeader('connection', 'close').end('here'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
  return { server, port, open }
}

t.test('without connections it is over at once', async (t) => {
  const { server, open } = await start(t)
  // Longer than the test may take.
  await stopListening(server, 10_000_000)
  await t.rejects(open(), { code: 'ECONNREFUSED' })
})

t.test('connections that are open, or wait to be accepted, are answered; the last one ends it', async (t) => {
  const { server, open } = await start(t)
  const sockets = await Promise.all(Array.from({ length: 20 }, open))
  let over = false
  const stopped = stopListening(server, 10_000_000).then(() => {
    over = true
  })
  await until(() => !server.listening)
  for (const socket of sockets) {
    t.notOk(over)
    let text = ''
    socket.setEncoding('utf8').on('data', (part) => (text += part))
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await once(socket, 'close')
    t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  }
  await stopped
})

t.test('a connection that asks for nothing is not waited for longer than was said', async (t) => {
  const { server, open } = await start(t)
  const socket = await open()
  await stopListening(server, 1)
  t.notOk(socket.destroyed)
  t.notOk(server.listening)
})

t.test(
  'clients that connect as soon as another has been accepted: none is reset when the listener closes',
  async (t) => {
    const { server, port } = await start(t)
    const outcomes: Promise<string>[] = []
    // Without end they would keep a listener that is never closed busy for ever.
    const come = () => {
      if (outcomes.length < 3000) outcomes.push(ask(port))
    }
    server.on('connection', come)
    for (let i = 0; i < 20; i++) come()
    await until(() => outcomes.length > 100)
    await stopListening(server, 10_000_000)
    const seen = new Set(await Promise.all(outcomes))
    t.same([...seen].sort(), ['ECONNREFUSED', 'HTTP/1.1 200 OK'])
  },
)

t.test('clients that leave before the listener closes harm nobody', async (t) => {
  const { server, open } = await start(t)
  let connections = 0
  server.on('connection', () => connections++)
  const sockets = await Promise.all(Array.from({ length: 20 }, open))
  const before = connections
  const stopped = stopListening(server, 10_000_000)
  for (const socket of sockets) socket.resetAndDestroy()
  await stopped
  t.ok(before < 20, 'some waited')
})

t.test('clients that never cease to come: the listener closes once those that waited have been accepted', async (t) => {
  const server = createNetServer()
  const given: Socket[] = []
  server.on('connection', (socket) => given.push(socket))
  let arrived = 0
  const arrive = () => {
    server.emit('connection', new Socket())
    arrived++
    timer = setImmediate(arrive)
  }
  let timer = setImmediate(arrive)
  t.teardown(() => clearImmediate(timer))
  let time = 0
  await closeListener(server, () => (time += 10))
  t.ok(arrived > 511, `${arrived}`)
  t.ok(given.length >= arrived - 1, 'it serves all of them')
})

/** Asks on a connection of its own: the first line of the answer, or the code of what broke it. */
function ask(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (part) => (text += part))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.on('end', () => resolve(text.split('\r\n', 1)[0]!))
  })
}

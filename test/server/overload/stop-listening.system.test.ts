import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { stopListening } from '../../../src/server/overload/stop-listening.ts'
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
  return { server, open }
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

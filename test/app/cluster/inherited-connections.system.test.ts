import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createGivenConnections } from '../../../src/app/cluster/inherited-connections.ts'
import { until } from '../../support/until.ts'

/** A server whose connections another accepts and gives to it. */
async function start(t: Test, options: { requestTimeout?: number; maxConnections?: number } = {}) {
  const given = createGivenConnections('http://other:3000')
  const { requestTimeout = 60_000, maxConnections = 100 } = options
  const fastify = Fastify({ requestTimeout, http: { connectionsCheckingInterval: 1 } })
  fastify.get('/', async () => 'here')
  fastify.server.maxConnections = maxConnections
  t.equal(await given.open(fastify), 'http://other:3000')
  const acceptor = createServer((socket) => given.give(socket)).listen(0, '127.0.0.1')
  await once(acceptor, 'listening')
  t.teardown(() => {
    acceptor.close()
    fastify.server.closeAllConnections()
    return fastify.close()
  })
  const { port } = acceptor.address() as AddressInfo
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return socket.setEncoding('utf8')
  }
  const answerOf = async (socket: Socket): Promise<string> => {
    let text = ''
    for await (const part of socket) text += part
    return text
  }
  return { given, fastify, open, answerOf }
}

const request = (more = '') => `GET / HTTP/1.1\r\nhost: a\r\n${more}\r\n`

t.test('what is given is answered, where the client has ended its half, too', async (t) => {
  const { open, answerOf } = await start(t)
  const socket = await open()
  socket.end(request())
  t.match(await answerOf(socket), /^HTTP\/1\.1 200 OK\r\n[\s\S]*here$/)
})

t.test('a request that takes too long to arrive is ended', async (t) => {
  const { open, answerOf } = await start(t, { requestTimeout: 1 })
  const socket = await open()
  socket.write('GET / HTTP/1.1\r\n')
  t.match(await answerOf(socket), /^HTTP\/1\.1 4\d\d /)
})

t.test('more connections than there may be are closed, and counted', async (t) => {
  const { fastify, open, answerOf } = await start(t, { maxConnections: 1 })
  let dropped = 0
  fastify.server.on('drop', () => dropped++)
  const first = await open()
  const second = await open()
  t.equal(await answerOf(second), '')
  t.equal(dropped, 1)
  first.end(request('connection: close\r\n'))
  t.match(await answerOf(first), /^HTTP\/1\.1 200/)
})

t.test('one that was closed on its way is nothing', async (t) => {
  const { given } = await start(t)
  given.give(undefined)
  given.close()
  await given.stop(10_000_000)
  await given.ended()
})

t.test('it stops when no more come and all have ended', async (t) => {
  const { given, open, answerOf, fastify } = await start(t)
  const socket = await open()
  let connections = 0
  fastify.server.on('connection', () => connections++)
  const other = await open()
  await until(() => connections === 1)
  let over = false
  const stopped = given.stop(10_000_000).then(() => {
    over = true
  })
  given.close()
  for (const one of [socket, other]) {
    t.notOk(over)
    one.write(request('connection: close\r\n'))
    await answerOf(one)
    one.end()
  }
  await stopped
})

t.test('a connection that asks for nothing is not waited for longer than was said', async (t) => {
  const { given, open, fastify } = await start(t)
  const connected = once(fastify.server, 'connection')
  const socket = await open()
  await connected
  given.close()
  await given.stop(1)
  t.notOk(socket.destroyed)
  socket.destroy()
  await given.ended()
})

import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createMemoryBudget } from '../../../src/server/overload/pending-bytes.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)

async function start(t: Test, maxBytes: number) {
  const answers = createMemoryBudget({ maxBytes }).part()
  const { fastify } = await startTestServer(t, { models, answers })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const shed = async () => {
    const { body } = await fastify.inject('/metrics')
    return Number(/^multigate_shed_total\{model="",version="",reason="unread"\} (\d+)/m.exec(body)![1])
  }
  return { answers, fastify, port, shed }
}

/** A client that asks `times` times in one piece, and reads nothing. */
async function ask(port: number, times: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write('GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(times))
  return socket
}

/** Reads `bytes` bytes. */
async function read(socket: Socket, bytes: number): Promise<void> {
  let length = 0
  socket.on('data', (chunk) => {
    length += chunk.length
  })
  socket.resume()
  await until(() => length >= bytes)
}

t.test('who asks for much and reads nothing is cut off when there is too much; who reads is not', async (t) => {
  const maxBytes = 3_000_000
  const { answers, fastify, port, shed } = await start(t, maxBytes)
  const { length } = (await fastify.inject('/docs/json')).rawPayload
  const unread = await Promise.all(Array.from({ length: 30 }, () => ask(port, 90)))
  let most = 0
  await until(async () => {
    most = Math.max(most, answers.bytes)
    return (await shed()) > 0
  })
  t.ok(most <= maxBytes, String(most))
  const reader = await ask(port, 20)
  await read(reader, 20 * length)
  for (const socket of unread) socket.destroy()
  await until(() => answers.bytes === 0)
  reader.destroy()
})

t.test('a lone client may hold more than the budget: one response, and its requests behind it', async (t) => {
  const { answers, fastify, port, shed } = await start(t, 1000)
  const { length } = (await fastify.inject('/docs/json')).rawPayload
  const socket = await ask(port, 50)
  await read(socket, 50 * length)
  await until(() => answers.bytes === 0)
  t.equal(await shed(), 0)
  socket.destroy()
})

t.test('requests wait while the client has not taken the response before them', async (t) => {
  const { answers, fastify, port } = await start(t, 1e9)
  const { length } = (await fastify.inject('/docs/json')).rawPayload
  const socket = await ask(port, 100)
  // The system takes what fits into its buffers.
  let last = -1
  await until(async () => {
    const isSettled = answers.bytes === last && last > 0
    last = answers.bytes
    await fastify.inject('/livez')
    return isSettled
  })
  t.ok(answers.bytes >= 10 * 8192, `${answers.bytes}: most of them wait`)
  t.ok(answers.bytes <= 100 * 8192, String(answers.bytes))
  await read(socket, 100 * length)
  await until(() => answers.bytes === 0)
  socket.destroy()
})

t.test('a client that pipelines on and on is slowed down, and gets every response', async (t) => {
  const { fastify, port, shed } = await start(t, 1e9)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let text = ''
  socket.setEncoding('latin1').on('data', (part) => (text += part))
  // As many fit into the 64 KiB that Node reads at once as may wait.
  const request = `GET /livez HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(1000)}\r\n\r\n`
  socket.write(request.repeat(2000))
  await until(() => text.split('HTTP/1.1 200').length === 2001 || socket.destroyed)
  t.notOk(socket.destroyed)
  t.equal(await shed(), 0)
  socket.destroy()
  await fastify.inject('/livez')
})

t.test('large bodies behind responses that take a while are read, each in its turn', async (t) => {
  const { port } = await start(t, 1e9)
  const get = 'GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n'
  const post = (bytes: number) =>
    `POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n${' '.repeat(bytes)}`
  const requests = [get, get, post(600), post(75_000), get, post(400_000), get, get, post(400_000), get]
  for (let i = 0; i < 10; i++) {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1').on('data', (part) => (text += part))
    socket.on('error', () => undefined)
    socket.write(requests.join(''))
    const statuses = () => text.match(/HTTP\/1\.1 \d+/g) ?? []
    await until(() => statuses().length === requests.length || socket.destroyed)
    t.same(
      statuses(),
      requests.map((request) => `HTTP/1.1 ${request === get ? 200 : 400}`),
    )
    t.notMatch(text, /is not HTTP/)
    socket.destroy()
  }
})

t.test('requests that wait count with their headers', async (t) => {
  const { answers, port } = await start(t, 1e9)
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  const headers = Array.from({ length: 100 }, (_, i) => `header-${i}: value-${i}\r\n`).join('')
  socket.write(`GET /docs/json HTTP/1.1\r\nhost: a\r\n${headers}\r\n`.repeat(20))
  let most = 0
  await until(() => {
    most = Math.max(most, answers.bytes)
    return most > 10 * (8192 + 100 * 128)
  })
  t.ok(most <= 21 * (8192 + 101 * 128 + headers.length), String(most))
  socket.destroy()
  await until(() => answers.bytes === 0)
})

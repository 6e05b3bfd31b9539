import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { promisify } from 'node:util'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { startTestServer } from '../../../support/server.ts'
import { until } from '../../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const logged: { level: number; msg: string }[] = []
const rows = 50_000
const { fastify } = await startTestServer(t, {
  models,
  maxBodyBytes: 4_000_000,
  limits: { maxRequestRows: rows, maxQueueRows: rows },
  logger: { level: 'debug', stream: { write: (line: string) => logged.push(JSON.parse(line)) } },
})
await fastify.listen({ port: 0, host: '127.0.0.1' })
const { port } = fastify.server.address() as AddressInfo

const body = JSON.stringify({
  inputs: [
    { name: 'hour', shape: [1], datatype: 'INT32', data: [7] },
    { name: 'campaign', shape: [rows], datatype: 'BYTES', data: Array.from({ length: rows }, (_, i) => `c${i}`) },
    { name: 'price', shape: [rows], datatype: 'FP32', data: Array.from({ length: rows }, (_, i) => i / 8) },
  ],
})

/** Asks for a compressed answer; `leave` is called when it begins to be written to the connection. */
async function ask(leave: (request: IncomingMessage) => void): Promise<void> {
  fastify.server.prependOnceListener('request', (request: IncomingMessage, response: ServerResponse) => {
    response.once('pipe', () => leave(request))
  })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  socket.write(
    `POST /v2/models/ads/infer HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  socket.resume()
  await closed
}

t.test('a client that leaves before the first byte of a compressed answer is no error', async (t) => {
  logged.length = 0
  await ask(({ socket }) => socket.destroy())
  await until(() => logged.some(({ msg }) => msg === 'the client went away'))
  t.same(
    logged.filter(({ level }) => level >= 40),
    [],
  )
})

t.test('nor is one that leaves within it', async (t) => {
  logged.length = 0
  const socket = connect(port, '127.0.0.1')
  socket.write(
    `POST /v2/models/ads/infer HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  const [answered] = (await once(socket, 'data')) as [Buffer]
  t.match(answered.toString('latin1'), /^HTTP\/1\.1 200 OK[\s\S]*content-encoding: gzip/)
  socket.resetAndDestroy()
  const connections = promisify(fastify.server.getConnections.bind(fastify.server))
  await until(async () => (await connections()) === 0)
  t.same(
    logged.filter(({ level }) => level >= 40),
    [],
  )
})

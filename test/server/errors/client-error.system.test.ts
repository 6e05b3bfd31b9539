import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { refuseConnect } from '../../../src/server/plugins/strict-http.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createReceived } from '../../support/received.ts'
import { startTestServer } from '../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify } = await startTestServer(t, { models })
await fastify.listen({ host: '127.0.0.1', port: 0 })
const { port } = fastify.server.address() as AddressInfo
fastify.server.on('connect', refuseConnect)
const received = createReceived(fastify.server)

const body = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c', price: 1 }] })
const request = (headers = '', text = body, length = Buffer.byteLength(text)) =>
  `POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${headers}content-length: ${length}\r\n\r\n${text}`

/** Statuses of all answers to these pieces until the server closes the connection. */
async function statuses(...pieces: string[]): Promise<number[]> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  const answer = text(socket).catch(() => '')
  for (const piece of pieces) {
    socket.write(piece)
    await received(socket)
  }
  return [...(await answer).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
}

t.test('what was asked before something that is no HTTP is answered first, each with its own answer', async (t) => {
  const garbage = 'GARBAGE\r\n\r\n'
  t.same(await statuses(garbage), [400])
  t.same(await statuses(request() + garbage), [200, 400])
  t.same(await statuses(request() + request('', '{}') + request() + garbage), [200, 400, 200, 400])
  t.same(await statuses(request(), garbage, garbage), [200, 400])
})

t.test('what follows a request that was to be the last is ignored', async (t) => {
  t.same(await statuses(`${request('connection: close\r\n')}\r\n\r\nx`), [200])
})

t.test('a body with wrong chunks is answered once', async (t) => {
  const chunked =
    'POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'
  t.same(await statuses(`${chunked}zz\r\n`), [400])
  t.same(await statuses(`${request() + chunked}5\r\n{"con`, 'zz\r\n'), [200, 400])
})

t.test('a body that is longer than it says is one of that length, and then no HTTP', async (t) => {
  t.same(await statuses(request('', body, Buffer.byteLength(body) - 5)), [400, 400])
})

t.test('CONNECT is refused, after what was asked before', async (t) => {
  const ask = 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nx-request-id: tunnel\r\n\r\n'
  t.same(await statuses(ask), [405])
  t.same(await statuses(request() + request('', '{}') + ask), [200, 400, 405])
  t.same(await statuses(request(), ask), [200, 405])
  const socket = connect(port, '127.0.0.1')
  socket.write(ask)
  const [head, problem = ''] = (await text(socket)).split('\r\n\r\n')
  t.match(head, /^HTTP\/1.1 405 Method Not Allowed\r\n[\s\S]*content-type: application\/problem\+json/)
  t.match(JSON.parse(problem), { status: 405, code: 'METHOD_NOT_ALLOWED', request_id: 'tunnel' })
})

t.test('a request without a Host is refused with problem details', async (t) => {
  const ask = async (head: string) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(`${head}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    return (await text(socket)).split('\r\n\r\n')
  }
  const [head, problem = ''] = await ask('POST /predict HTTP/1.1\r\nx-request-id: homeless\r\n')
  t.match(head, /^HTTP\/1.1 400 Bad Request\r\n[\s\S]*content-type: application\/problem\+json/)
  t.match(JSON.parse(problem), {
    code: 'INVALID_REQUEST',
    detail: 'The request has no Host header, which HTTP/1.1 requires',
    request_id: 'homeless',
  })
  const [old] = await ask('POST /predict HTTP/1.0\r\n')
  t.match(old, /^HTTP\/1.1 200 OK/, 'HTTP/1.0 knows none')
})

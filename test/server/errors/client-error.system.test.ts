import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createReceived } from '../../support/received.ts'
import { startTestServer } from '../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify } = await startTestServer(t, { models })
await fastify.listen({ host: '127.0.0.1', port: 0 })
const { port } = fastify.server.address() as AddressInfo
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

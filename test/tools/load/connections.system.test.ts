import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type Connections, createAnswerReader, createConnections } from '../../../src/tools/load/connections.ts'
import type { Reply } from '../../../src/tools/load/open-loop.ts'
import { until } from '../../support/until.ts'

const toRequest = (body: string) =>
  Buffer.from(
    `POST /predict HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )

type Teardown = { teardown(callback: () => unknown): void }

async function connectTo(t: Teardown, handler: RequestListener, limit = 2): Promise<Connections> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connections = createConnections({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    requests: ['{"a":1}', '{"a":"ü"}'].map(toRequest),
    limit,
  })
  t.teardown(() => {
    connections.destroy()
    server.close()
    server.closeAllConnections()
  })
  return connections
}

const send = (connections: Connections, index: number) =>
  new Promise<Reply>((resolve, reject) => {
    if (!connections.send(index, resolve)) reject(new Error('no connection'))
  })

t.test('it posts each body in turn over one connection, and reads the status', async (t) => {
  const got: string[] = []
  const connections = await connectTo(
    t,
    async (request, response) => {
      let body = ''
      for await (const chunk of request.setEncoding('utf8')) body += chunk
      got.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`)
      response.writeHead(got.length === 2 ? 504 : 200, { 'content-length': 3 }).end('abc')
    },
    1,
  )
  await connections.openAll()
  t.same(
    [await send(connections, 0), await send(connections, 1), await send(connections, 2)],
    [{ status: 200 }, { status: 504 }, { status: 200 }],
  )
  t.same(
    got,
    ['{"a":1}', '{"a":"ü"}', '{"a":1}'].map((body) => `POST /predict application/json ${body}`),
  )
  t.equal(connections.open, 1)
})

t.test('it opens no more than it may, and says when none is free', async (t) => {
  const connections = await connectTo(t, (_, response) =>
    setImmediate(() => response.writeHead(200, { 'content-length': 0 }).end()),
  )
  const first = [send(connections, 0), send(connections, 1)]
  t.notOk(connections.send(2, () => t.fail('was not sent')))
  t.same(await Promise.all(first), [{ status: 200 }, { status: 200 }])
  t.equal(connections.open, 2)
  t.same(await send(connections, 3), { status: 200 })
})

t.test('a broken connection fails its request, and another takes its place', async (t) => {
  let count = 0
  const connections = await connectTo(
    t,
    (request, response) => {
      if (count++ === 0) request.socket.destroy()
      else response.writeHead(200, { 'content-length': 0 }).end()
    },
    1,
  )
  t.match(await send(connections, 0), { error: String })
  t.same(await send(connections, 1), { status: 200 })
})

t.test('connections take turns, so that each process behind them has its share', async (t) => {
  const ports: (number | undefined)[] = []
  const connections = await connectTo(t, (request, response) => {
    ports.push(request.socket.remotePort)
    response.writeHead(200, { 'content-length': 0 }).end()
  })
  await connections.openAll()
  for (let i = 0; i < 4; i++) await send(connections, i)
  t.equal(new Set(ports.slice(0, 2)).size, 2)
  t.same(ports.slice(2), ports.slice(0, 2))
})

t.test('a connection that the server closes after its answer is not used again', async (t) => {
  const connections = await connectTo(
    t,
    (_, response) => response.writeHead(429, { 'content-length': 0, connection: 'close' }).end(),
    1,
  )
  t.same(await send(connections, 0), { status: 429 })
  await until(() => connections.open === 0)
  t.same(await send(connections, 1), { status: 429 })
})

t.test('an answer is whole wherever its bytes are cut, and whatever becomes of them', async (t) => {
  const answer = Buffer.from('HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\nx: y\r\n\r\nhello')
  for (let cut = 1; cut < answer.length; cut++) {
    const reader = createAnswerReader()
    const first = Buffer.from(answer.subarray(0, cut))
    if (reader.take(first)) t.fail(`whole after ${cut} bytes`)
    first.fill(0)
    if (!reader.take(answer.subarray(cut)) || reader.status !== 429) t.fail(`not whole when cut after ${cut} bytes`)
    if (!reader.take(answer)) t.fail('the next answer is read from its start')
  }
  const reader = createAnswerReader()
  t.ok(reader.take(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')))
  t.match(reader, { status: 0, last: true })
})

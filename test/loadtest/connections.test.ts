import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type Connections, createAnswerReader, createConnections } from '../../loadtest/connections.ts'
import type { Reply } from '../../loadtest/open-loop.ts'

type Teardown = { teardown(callback: () => unknown): void }

async function connectTo(t: Teardown, handler: RequestListener, limit = 2): Promise<Connections> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connections = createConnections({
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/predict`),
    headers: { 'content-type': 'application/json' },
    bodies: ['{"a":1}', '{"a":"ü"}'],
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

t.test('an answer is whole wherever its bytes are cut', async (t) => {
  const answer = Buffer.from('HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\nx: y\r\n\r\nhello')
  for (let cut = 1; cut < answer.length; cut++) {
    const read = createAnswerReader()
    const early = read(answer.subarray(0, cut))
    if (early !== undefined) t.fail(`whole after ${cut} bytes`)
    if (read(answer.subarray(cut)) !== 429) t.fail(`not whole when cut after ${cut} bytes`)
    if (read(answer) !== 429) t.fail('the next answer is read from its start')
  }
  t.equal(createAnswerReader()(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')), 0)
})

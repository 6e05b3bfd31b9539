import { once } from 'node:events'
import { createServer, IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t from 'tap'
import { ignoreBody, ignoreRest } from '../../../src/server/overload/ignore-rest.ts'

for (const closes of ['at once', 'after an answer'])
  t.test(`of a connection that is closed ${closes}, requests of the same piece are ignored`, async (t) => {
    let seen = 0
    let parsed = 0
    class Counted extends IncomingMessage {
      constructor(socket: Socket) {
        super(socket)
        parsed++
      }
    }
    const server = createServer({ IncomingMessage: Counted }, ({ socket }, answer) => {
      seen++
      if (seen < 10) {
        answer.end()
        return
      }
      ignoreRest(socket)
      if (closes === 'at once') socket.destroy()
      else setImmediate(() => answer.setHeader('connection', 'close').end('last'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8').on('data', (part) => (text += part))
    socket.on('error', () => undefined)
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc'.repeat(1000))
    await once(socket, 'close')
    t.equal(seen, 10)
    t.ok(parsed <= 11, `${parsed} were parsed`)
    if (closes === 'after an answer') t.match(text, /last$/)
  })

t.test('a request that upgrades behind it leaves no connection without its listeners', async (t) => {
  const server = createServer(({ socket }) => {
    ignoreRest(socket)
    listeners = () => socket.listenerCount('error')
  })
  let listeners = () => 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const upgrade = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'
  socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n${upgrade}`)
  const [, accepted] = await Promise.all([once(socket, 'connect'), once(server, 'request')])
  const { socket: end } = accepted[0] as IncomingMessage
  // The request that came in one piece with the first has been read.
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(listeners() > 0)
  socket.resetAndDestroy()
  await new Promise((resolve) => end.once('close', resolve))
})

t.test('a parser whose body was ignored hands over the bodies of the next connection', async (t) => {
  const bodies: string[] = []
  const server = createServer(async (request, answer) => {
    if (request.url === '/ignored') {
      ignoreBody(request.socket)
      answer.writeHead(400, { connection: 'close' }).end()
      return
    }
    let body = ''
    for await (const piece of request) body += piece
    bodies.push(body)
    answer.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  for (let i = 0; i < 5; i++) {
    const ignored = connect(port, '127.0.0.1')
    ignored.resume().on('error', () => undefined)
    ignored.write('POST /ignored HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc')
    await once(ignored, 'close')
    await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: `body ${i}`, headers: { connection: 'close' } })
  }
  t.same(bodies, ['body 0', 'body 1', 'body 2', 'body 3', 'body 4'])
})

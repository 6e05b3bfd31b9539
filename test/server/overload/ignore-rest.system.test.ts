import { once } from 'node:events'
import { createServer, IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t from 'tap'
import { ignoreRest } from '../../../src/server/overload/ignore-rest.ts'

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

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { ignoreClosed } from '../../../src/server/overload/pipelining.ts'

t.test('of a connection that has been closed, requests of the same piece are ignored', async (t) => {
  let seen = 0
  const server = createServer(({ socket }) => {
    seen++
    if (seen === 10) socket.destroy()
  })
  ignoreClosed(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(1000))
  await once(socket, 'close')
  t.equal(seen, 10)
})

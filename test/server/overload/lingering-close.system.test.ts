import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectSecure } from 'node:tls'
import t, { type Test } from 'tap'
import { answerUnreadable } from '../../../src/server/errors/client-error.ts'
import { createLingeringClose, lingerOn } from '../../../src/server/overload/lingering-close.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

const refuse: RequestListener = (_request, answer) => {
  answer.writeHead(413, { connection: 'close' }).end('too large')
}

/** Sends all, then reads: what it reads, and how the connection ended. */
async function sendThenRead(socket: Socket, head: string, bytes: number): Promise<[string, string]> {
  let text = ''
  let ending = 'closed'
  socket.on('error', (error: NodeJS.ErrnoException) => (ending = String(error.code)))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(head)
  const piece = Buffer.alloc(1 << 20, 'x')
  for (let sent = 0; sent < bytes && !socket.destroyed; sent += piece.length)
    await Promise.race([closed, new Promise((resolve) => socket.write(piece, resolve))])
  socket.setEncoding('utf8').on('data', (part) => (text += part))
  await closed
  return [text, ending]
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

async function listen(t: Test, isSecure: boolean): Promise<() => Socket> {
  let options = {}
  if (isSecure) {
    const [key, cert] = ['key', 'cert'].map((name) => join(folder, `${name}.pem`)) as [string, string]
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a']
    execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert], { stdio: 'pipe' })
    options = { key: readFileSync(key), cert: readFileSync(cert) }
  }
  const server = isSecure ? createSecureServer(options, refuse) : createServer(refuse)
  lingerOn(server)
  server.on('clientError', answerUnreadable)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return () =>
    isSecure
      ? connectSecure({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1' })
}

const folder = await temporaryFolder(t)

for (const isSecure of [false, true])
  t.test(
    `a client that sends 50 MB before it reads sees its refusal${isSecure ? ', over TLS' : ''}`,
    { skip: isSecure && !hasOpenssl ? 'openssl is not installed' : false },
    async (t) => {
      const open = await listen(t, isSecure)
      const bytes = 50 * 2 ** 20
      const head = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${bytes}\r\n\r\n`
      const [text, ending] = await sendThenRead(open(), head, bytes)
      t.match(text, /^HTTP\/1\.1 413 [\s\S]*too large/)
      t.equal(ending, 'closed')
      const [unreadable, end] = await sendThenRead(open(), 'what is this?\r\n\r\n', 2 ** 24)
      t.match(unreadable, /^HTTP\/1\.1 400 /)
      t.equal(end, 'closed')
    },
  )

t.test('its bounds: connections, pauses, time and bytes', async (t) => {
  const clock = createFakeClock()
  const close = createLingeringClose(2, clock)
  const ends: Socket[] = []
  const server = createServer().removeAllListeners('connection')
  server.on('connection', (socket) => ends.push(socket.on('error', () => undefined)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const open = async () => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
    client.on('end', () => undefined)
    client.allowHalfOpen = true
    t.teardown(() => client.destroy())
    await once(server, 'connection')
    const end = ends.at(-1)!
    end.allowHalfOpen = true
    close(end)
    return { client, end }
  }
  const [quiet, busy, third] = [await open(), await open(), await open()]
  t.ok(third.end.destroyed, 'no more than two linger')
  const arrive = (bytes: number) => {
    busy.client.write(Buffer.alloc(bytes))
    return once(busy.end, 'data')
  }
  await arrive(1)
  await clock.advance(5000)
  await arrive(1)
  await clock.advance(5000)
  t.same([quiet.end.destroyed, busy.end.destroyed], [true, false], 'one that sends nothing for 5 s')
  for (let i = 0; i < 4; i++) {
    await arrive(1)
    await clock.advance(5000)
  }
  t.notOk(busy.end.destroyed)
  await arrive(1)
  await clock.advance(5000)
  t.ok(busy.end.destroyed, 'after 30 s')
  t.equal(clock.timers, 0)
  const large = await open()
  large.client.write(Buffer.alloc(65 * 2 ** 20))
  await once(large.end, 'close')
  t.pass('after 64 MiB')
})

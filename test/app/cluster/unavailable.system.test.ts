import { execFileSync, spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Unavailable } from '../../../src/app/cluster/unavailable.ts'
import type { Configuration } from '../../../src/schemas/configuration.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { dial, send } from '../../support/hostile-clients.ts'

/** The port of a listener whose connections are answered because no process serves; another is started in 3.2 s. */
async function start(t: Test, settings: Partial<Configuration> = {}): Promise<number> {
  const configuration = { MULTIGATE_TLS_CERT: '', MULTIGATE_TLS_KEY: '', MULTIGATE_TLS_CLIENT_CA: '', ...settings }
  const unavailable = new Unavailable(configuration as Configuration, () => 3.2)
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined)
    unavailable.answer(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    unavailable.close()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const detail = 'No process serves; another is started in 4 s'

t.test('whatever is asked is answered by 503, in the form of its protocol', async (t) => {
  const port = await start(t)
  const headers = { 'x-request-id': 'r1' }
  for (const [path, body] of [
    ['/predict', '{}'],
    ['/predict', 'x'.repeat(3e6)],
    ['/readyz', undefined],
  ] as const) {
    const answer = await send(port, path, body, headers)
    t.match(answer, { status: 503, headers: { 'retry-after': '4', connection: 'close', 'x-request-id': 'r1' } })
    t.equal(answer.headers['content-type'], 'application/problem+json')
    t.match(JSON.parse(answer.text), { status: 503, code: 'NOT_READY', detail, request_id: 'r1' })
  }
  for (const path of ['/v2/models/ads/infer', '/v1/models/ads:predict']) {
    const answer = await send(port, path, '{}')
    t.match(answer, { status: 503, headers: { 'retry-after': '4', 'content-type': 'application/json' } })
    t.same(JSON.parse(answer.text), { error: detail })
  }
})

t.test('one request of each connection is answered', async (t) => {
  const port = await start(t)
  const client = dial(port, 'GET /livez HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(3))
  await client.closed
  t.equal(client.text().split('HTTP/1.1 503').length, 2)
})

/** A port as `start` gives it, and the number of requests that Node has made objects of. */
async function startCounted(t: Test): Promise<{ port: number; parsed: () => number }> {
  let parsed = 0
  const count = () => parsed++
  subscribe('http.server.request.start', count)
  t.teardown(() => unsubscribe('http.server.request.start', count))
  return { port: await start(t), parsed: () => parsed }
}

for (const [kind, ask] of Object.entries({
  'ordinary requests': 'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
  'requests with a body': 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc',
  'requests without a Host': 'GET / HTTP/1.1\r\n\r\n',
  'requests that expect something unknown': 'GET / HTTP/1.1\r\nhost: a\r\nexpect: a\r\n\r\n',
  'requests for another protocol': 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
}))
  t.test(`of ${kind} in one piece, all but the first are ignored`, async (t) => {
    const { port, parsed } = await startCounted(t)
    const client = dial(port, ask.repeat(1000))
    await client.closed
    t.match(client.text(), /^HTTP\/1\.1 503 /)
    t.equal(client.text().split('HTTP/1.1 ').length, 2)
    t.equal(parsed(), 1)
  })

t.test('CONNECT and what is no HTTP are refused as ever, after what was asked before', async (t) => {
  const port = await start(t)
  const connect = 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n'
  const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
  for (const [asked, answered] of [
    [connect, ['405']],
    [get + connect, ['503']],
    ['GARBAGE\r\n\r\n', ['400']],
    [`${get}GARBAGE\r\n\r\n`, ['503']],
  ] as const) {
    const client = dial(port, asked)
    await client.closed
    t.same(
      [...client.text().matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status),
      answered,
      asked,
    )
    t.match(client.text(), /content-type: application\/problem\+json/)
  }
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

t.test('over TLS, too', { skip: hasOpenssl ? false : 'openssl is not installed' }, async (t) => {
  const folder = await temporaryFolder(t)
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30']
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], { stdio: 'pipe' })
  const port = await start(t, { MULTIGATE_TLS_CERT: cert, MULTIGATE_TLS_KEY: key })
  const agent = new Agent({ ca: readFileSync(cert) })
  const sent = request({ host: '127.0.0.1', port, path: '/predict', method: 'POST', agent }).end('{}')
  const [response] = await once(sent, 'response')
  response.resume()
  t.match(response, { statusCode: 503, headers: { 'retry-after': '4' } })
})

t.test('where the certificate can no longer be read, connections are closed', async (t) => {
  const port = await start(t, { MULTIGATE_TLS_CERT: '/nothing.pem', MULTIGATE_TLS_KEY: '/nothing.pem' })
  const client = dial(port, 'x')
  await client.closed
  t.equal(client.text(), '')
})

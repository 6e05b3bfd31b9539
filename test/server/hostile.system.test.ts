import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { dial, head, send, startDeafViewers, startVictim, wellBehaved } from '../support/hostile-clients.ts'
import { until } from '../support/until.ts'

/* A server in a process of its own, attacked over sockets while a well-behaved client asks all the time. */

const mebibyte = 2 ** 20
const maxConnections = 300
const maxBody = 4 * mebibyte
const maxPending = 32 * mebibyte

/**
 * Memory by which a server may grow beyond its bounds: its heap before it is collected, threads' stacks, buffers of
 * sockets.
 */
const slack = 200 * mebibyte

/** So that no request is refused because others are ahead of it. */
const patient = 'x-deadline-ms: 600000'

const models = await temporaryFolder(t)
const shipped = fileURLToPath(new URL('../../../models', import.meta.url))
await cp(join(shipped, 'ads-funnel'), join(models, 'ads-funnel'), { recursive: true })
const { manifest } = await readBundle(models, 'ads-funnel', await versionOf())
const rows = manifest.golden!.rows
const body = JSON.stringify({ candidates: rows })
const server = await startVictim(t, {
  MULTIGATE_MODELS: models,
  MULTIGATE_WORKERS: '1',
  MULTIGATE_DRAIN_DELAY_MS: '0',
  MULTIGATE_MAX_CONNECTIONS: String(maxConnections),
  MULTIGATE_MAX_BODY_BYTES: String(maxBody),
  MULTIGATE_MAX_PENDING_BYTES: String(maxPending),
})
const { port, metric, calm } = server

async function versionOf(): Promise<string> {
  const { readdir } = await import('node:fs/promises')
  return (await readdir(join(models, 'ads-funnel')))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => +a - +b)
    .at(-1)!
}

/** An attack, while the well-behaved client asks; afterwards the server must be calm, ready and fast to answer. */
function attack(name: string, run: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = await metric('process_resident_memory_bytes')
    const client = await wellBehaved(port, body)
    // It would ask for ever where the attack fails.
    await run(t).catch(async (error) => {
      await client.stop()
      throw error
    })
    t.same(await client.stop(), [], 'the well-behaved client does not notice')
    await calm()
    t.equal((await send(port, '/readyz')).status, 200)
    t.equal((await send(port, '/predict', body)).status, 200)
    const grown = (await metric('process_resident_memory_bytes')) - before
    t.ok(grown < maxPending + slack, `it has grown by ${Math.round(grown / mebibyte)} MiB`)
    t.equal(server.stderr(), '', 'no warnings')
  })
}

attack('more connections than are allowed are closed as they come, and counted', async (t) => {
  const refused = await metric('multigate_connections_refused_total')
  const clients = Array.from({ length: 2 * maxConnections }, () => dial(port))
  let closed = 0
  for (const { closed: end } of clients) end.then(() => closed++)
  // The two that ask for metrics and predictions are among those that are open; the former may come and go.
  await until(() => closed >= maxConnections)
  const turnedAway = closed
  t.ok(turnedAway <= maxConnections + 2, `${turnedAway} were closed`)
  for (const { socket } of clients) socket.destroy()
  await until(async () => (await send(port, '/livez')).status === 200)
  t.ok((await metric('multigate_connections_refused_total')) >= refused + turnedAway)
  await until(async () => (await metric('multigate_connections ')) <= 3)
})

attack('connections that come and go, or are half open', async (t) => {
  for (let round = 0; round < 20; round++) {
    const clients = Array.from({ length: 50 }, () => dial(port))
    for (const { socket } of clients) socket.once('connect', () => socket.resetAndDestroy())
    await Promise.all(clients.map(({ closed }) => closed))
  }
  const halves = Array.from({ length: 50 }, () => dial(port))
  for (const { socket } of halves) socket.end()
  await Promise.all(halves.map(({ closed }) => closed))
  t.ok(halves.every(({ text }) => text() === ''))
})

attack('bodies that are announced and never come reserve nothing', async (t) => {
  const announced = ['transfer-encoding: chunked', `content-length: ${maxBody}`]
  const clients = Array.from({ length: 200 }, (_, i) => dial(port, head(announced[i % 2]!)))
  await until(async () => (await metric('multigate_connections ')) > 200)
  t.equal(await metric('multigate_pending_body_bytes'), 0)
  t.equal((await send(port, '/predict', 'x'.repeat(100_000))).status, 400, 'a large one is still read')
  for (const { socket } of clients) socket.destroy()
})

attack('uploads that are held open make room, the largest first', async (t) => {
  const part = Buffer.alloc(maxBody - mebibyte, ' ')
  const clients = Array.from({ length: 60 }, () => dial(port, head(`content-length: ${maxBody}`, patient), part))
  await until(() => clients.filter(({ text }) => text() !== '').length >= 60 - maxPending / part.length - 1)
  for (const { text } of clients)
    if (text() !== '') t.match(text(), /^HTTP\/1\.1 429 [\s\S]*retry-after: 1\r\n[\s\S]*QUEUE_FULL/)
  t.ok((await metric('multigate_pending_body_bytes')) <= maxPending)
  t.ok((await metric('multigate_shed_total{model="",version="",reason="pending_bytes"}')) > 0)
  for (const { socket } of clients) socket.destroy()
})

attack('compressed bodies count as what they are', async (t) => {
  // Nearly forty times smaller than what it holds.
  const sparse = Array.from({ length: maxBody / 100 }, (_, i) => i + ' '.repeat(100)).join('')
  const held = gzipSync(sparse.slice(0, maxBody - 1000))
  const post = (bytes: Buffer) => dial(port, head('content-encoding: gzip', `content-length: ${held.length}`), bytes)
  const unfinished = Array.from({ length: 100 }, () => post(held.subarray(0, -8)))
  const whole = Array.from({ length: 100 }, () => post(held))
  let most = 0
  await until(async () => {
    most = Math.max(most, await metric('multigate_pending_body_bytes'))
    return whole.every(({ text }) => text() !== '')
  })
  t.ok(most <= maxPending, `${most}`)
  for (const { text } of whole) t.match(text(), /^HTTP\/1\.1 4(?:00|29) /)
  for (const { socket } of [...unfinished, ...whole]) socket.destroy()
  const bomb = gzipSync(Buffer.alloc(50 * mebibyte))
  for (let i = 0; i < 2; i++) {
    const headers = { 'content-encoding': 'gzip', 'x-deadline-ms': '600000' }
    const { status, text } = await send(port, '/predict', bomb, headers)
    t.equal(status, 413, text)
  }
})

attack('bodies that never end are cut off where they are too large', async (t) => {
  const chunk = `10000\r\n${' '.repeat(65536)}\r\n`
  const clients = Array.from({ length: 4 }, () => dial(port, head('transfer-encoding: chunked')))
  for (const { socket, text } of clients) {
    const feed = () => {
      while (!socket.destroyed && text() === '' && socket.write(chunk)) {
        // Goes on until the connection takes no more.
      }
    }
    socket.on('drain', feed)
    feed()
  }
  await until(() => clients.every(({ text, socket }) => text() !== '' || socket.destroyed))
  for (const { text } of clients) if (text() !== '') t.match(text(), /^HTTP\/1\.1 413 /)
  for (const { socket } of clients) socket.destroy()
})

attack('thousands of reports that are asked for and never read are not held', async (t) => {
  const version = await versionOf()
  const report = `GET /models/ads-funnel/versions/${version}/evaluation HTTP/1.1\r\nhost: a\r\n\r\n`
  const page = 'GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n\r\n'
  const clients = Array.from({ length: 250 }, (_, i) => dial(port, (i % 2 ? report : page).repeat(40)))
  for (const { socket } of clients) socket.pause()
  // The documents are shared; requests behind them are held, or connections are closed.
  let held = 0
  await until(async () => {
    const before = held
    held = await metric('multigate_pending_answer_bytes')
    return held > 0 && held === before
  })
  t.ok(held <= maxPending, `${held}`)
  for (const { socket } of clients) socket.destroy()
  await until(async () => (await metric('multigate_pending_answer_bytes')) === 0)
})

attack('bodies that come byte by byte are refused, or take no more than their bytes', async (t) => {
  const byte = '1\r\n \r\n'
  const chunked = head('transfer-encoding: chunked', patient)
  const refused = Array.from({ length: 20 }, () => dial(port, chunked, byte.repeat(10_000)))
  await until(() => refused.every(({ text, socket }) => text() !== '' || socket.destroyed))
  for (const { text } of refused)
    if (text() !== '') t.match(text(), /^HTTP\/1\.1 400 [\s\S]*more than 1024 pieces of less than 64 bytes/)
  const waiting = Array.from({ length: 200 }, () => dial(port, chunked, byte.repeat(1000)))
  await until(async () => (await metric('multigate_pending_body_bytes')) >= 200 * 1000)
  t.ok((await metric('multigate_pending_body_bytes')) <= 200 * (1000 + 9000))
  for (const { socket } of [...refused, ...waiting]) socket.destroy()
})

attack('small bodies that are held open count too', async (t) => {
  const part = 'x'.repeat(60_000)
  const clients = Array.from({ length: 200 }, () => dial(port, head('content-length: 65000', patient), part))
  await until(async () => (await metric('multigate_pending_body_bytes')) >= 200 * part.length)
  t.ok((await metric('multigate_pending_body_bytes')) <= 200 * (part.length + 9000))
  for (const { socket } of clients) socket.destroy()
})

attack('slow senders are answered when all has come', async (t) => {
  const bytes = Buffer.from(head(`content-length: ${Buffer.byteLength(body)}`) + body)
  const clients = Array.from({ length: 20 }, () => dial(port))
  for (const { socket } of clients) socket.setNoDelay(true)
  for (let i = 0; i < bytes.length; i += 40) {
    for (const { socket } of clients) socket.write(bytes.subarray(i, i + 40))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await t.resolves(until(() => clients.every(({ text }) => text().startsWith('HTTP/1.1 200'))))
  for (const { socket } of clients) socket.destroy()
})

attack('ordinary clients may send chunks without a length, many at once', async (t) => {
  const half = body.length >> 1
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
  const clients = Array.from({ length: 100 }, () =>
    dial(port, head('transfer-encoding: chunked', patient), chunk(body.slice(0, half))),
  )
  await until(async () => (await metric('multigate_pending_body_bytes')) >= 100 * (half + 8192))
  for (const { socket } of clients) socket.write(`${chunk(body.slice(half))}0\r\n\r\n`)
  await until(() => clients.every(({ text }) => text() !== ''))
  t.equal(clients.filter(({ text }) => text().startsWith('HTTP/1.1 200')).length, 100)
  for (const { socket } of clients) socket.destroy()
})

attack('what is no HTTP, or contradicts itself, fails alone', async (t) => {
  const length = `content-length: ${Buffer.byteLength(body)}`
  const cases: [number, string][] = [
    [200, head(length, 'expect: 100-continue', patient) + body],
    [200, head(length, patient).replace('HTTP/1.1', 'HTTP/1.0') + body],
    [400, head(length, 'expect: wonders') + body],
    [400, `${head(length, 'transfer-encoding: chunked')}0\r\n\r\n`],
    [400, head('content-length: -1')],
    [400, head('content-length: many')],
    [400, head('content-length: 5', 'content-length: 6')],
    [413, head('content-length: 1000000000')],
    [413, head(`content-length: ${'9'.repeat(18)}`)],
    [400, head('content-length: 0')],
    [400, head(...Array.from({ length: 5000 }, (_, i) => `x-${i}: y`), 'content-length: 0')],
    [400, 'hello\r\n\r\n'],
    ...['0', '-1', 'NaN', '1e308', '600001', '', 'Infinity'].map((value): [number, string] => [
      400,
      head(length, `x-deadline-ms: ${value}`) + body,
    ]),
    [400, head(length, 'x-deadline-ms: 50', 'x-deadline-ms: 60') + body],
  ]
  for (const [status, request] of cases) {
    const { socket, text } = dial(port, request)
    const answer = () => text().replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
    await until(() => answer() !== '' || socket.destroyed)
    t.match(answer(), new RegExp(`^HTTP/1\\.[01] ${status} `), request.slice(0, 160))
    socket.destroy()
  }
})

attack('clients that vanish are given up', async (t) => {
  const many = JSON.stringify({ candidates: Array.from({ length: 500 }, (_, i) => rows[i % rows.length]) })
  const whole = head(`content-length: ${Buffer.byteLength(many)}`, patient) + many
  for (let i = 0; i < 20; i++) {
    const { socket } = dial(port, whole.slice(0, whole.length >> 1))
    await until(() => socket.bytesWritten > whole.length / 3)
    socket.destroy()
  }
  // Whole ones, until one is caught before its answer.
  const before = await metric('multigate_cancelled_total')
  const caught = until(async () => {
    const { socket } = dial(port)
    await new Promise<void>((resolve) => socket.write(whole, () => resolve()))
    socket.resetAndDestroy()
    return (await metric('multigate_cancelled_total')) > before
  })
  await t.resolves(caught)
})

attack('a client that asks on and on, and reads nothing, is read no further', async (t) => {
  const one = head(`content-length: ${Buffer.byteLength(body)}`) + body
  for (const request of [
    one,
    'GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n',
    'GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n',
  ]) {
    const { socket } = dial(port)
    socket.pause()
    // Until the connection takes no more, or is closed: a socket that doesn't read learns of its end from what it
    // writes.
    let stuck = 0
    await until(() => {
      if (socket.writableNeedDrain) stuck++
      else {
        stuck = 0
        socket.write(request.repeat(50))
      }
      return socket.destroyed || stuck > 20
    })
    t.ok((await metric('multigate_pending_answer_bytes')) <= 4 * mebibyte)
    socket.destroy()
    await until(async () => (await metric('multigate_connections ')) <= 2)
    t.equal(await metric('multigate_pending_answer_bytes'), 0)
  }
})

attack('ordinary clients may pipeline', async (t) => {
  const one = head(`content-length: ${Buffer.byteLength(body)}`, patient) + body
  const { socket, text } = dial(port)
  for (let round = 1; round <= 5; round++) {
    socket.write(one.repeat(50))
    await until(() => text().split('"predictions":').length > 50 * round || socket.destroyed)
  }
  t.equal(text().split('HTTP/1.1 200 OK').length, 251)
  socket.destroy()
})

attack('requests in progress of connections that are closed are cancelled', async (t) => {
  const many = JSON.stringify({ candidates: Array.from({ length: 400 }, (_, i) => rows[i % rows.length]) })
  const one = head(`content-length: ${Buffer.byteLength(many)}`, patient) + many
  const before = await metric('multigate_cancelled_total')
  const cancelled = until(async () => {
    // The one worker computes some of them, and the others wait.
    const clients = Array.from({ length: 40 }, () => dial(port, one))
    await until(async () => (await metric('multigate_queue_rows')) > 0 || clients.every(({ text }) => text() !== ''))
    for (const { socket } of clients) socket.resetAndDestroy()
    return (await metric('multigate_cancelled_total')) >= before + 2
  })
  await t.resolves(cancelled)
})

t.test('it stops in spite of all that is held open', async (t) => {
  const client = await wellBehaved(port, body)
  const viewers = await startDeafViewers(server)
  const clients = Array.from({ length: 50 }, (_, i) =>
    i % 2 ? dial(port) : dial(port, head(`content-length: ${maxBody}`), 'x'.repeat(1000)),
  )
  await until(async () => (await metric('multigate_connections ')) > 50 + viewers.length)
  server.kill('SIGTERM')
  t.equal(await server.ended, 0)
  const wrong = await client.stop()
  t.ok(
    wrong.every((reason) => reason === 'ECONNREFUSED' || reason === 'ECONNRESET'),
    wrong.join(),
  )
  t.equal(server.stderr(), '')
  t.same(
    server.lines().filter(({ level }) => level >= 50),
    [],
  )
  for (const { socket } of clients) socket.destroy()
  for (const socket of viewers) socket.destroy()
})

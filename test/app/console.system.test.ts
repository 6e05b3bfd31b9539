import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../loadtest/free-port.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { watchLive } from '../support/events.ts'
import { send, startProcess } from '../support/process.ts'
import { until } from '../support/until.ts'

/*
 * The console of the real process, over real sockets; its pages are tested in test/console/.
 */

const models = await temporaryFolder(t)
await writeTestBundle(models)
const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })

/** Replaces the file in one step, as `multigate keys` does. */
function writeKeys(file: string, ...keys: [id: string, scopes: string[], more?: object][]): void {
  const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
  const content = { keys: keys.map(([id, scopes, more]) => ({ id, sha256: sha256(`key-${id}`), scopes, ...more })) }
  writeFileSync(`${file}.new`, JSON.stringify(content), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** The server of two tests. */
const plain = await startProcess(t, { MULTIGATE_MODELS: models })

t.test('the page and its files: complete, compressed, cached by their names, and no others’ scripts', async (t) => {
  const { port } = plain
  const page = await fetch(`http://127.0.0.1:${port}/`)
  t.match([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8'])
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
  t.notMatch(policy, /unsafe/)
  const html = await page.text()
  t.notMatch(html, /<script(?! type="module" src="console\/)/)
  let bytes = Buffer.byteLength(html)
  const files = [...html.matchAll(/(?:href|src)="(console\/[^"]+)"/g)].map(([, path]) => path!)
  t.equal(files.length, 2)
  const known = new Set(files)
  for (const path of known) {
    const file = await fetch(`http://127.0.0.1:${port}/${path}`, { headers: { 'accept-encoding': 'gzip' } })
    t.match(
      [file.status, file.headers.get('content-encoding'), file.headers.get('cache-control')],
      [200, 'gzip', /immutable/],
      path,
    )
    t.equal(file.headers.get('x-content-type-options'), 'nosniff')
    bytes += Number(file.headers.get('content-length'))
    // Scripts name those that they load.
    for (const [name] of (await file.text()).matchAll(/[\w-]+-[A-Z0-9]{8}\.js/g)) known.add(`console/assets/${name}`)
  }
  t.ok(known.size >= 4)
  t.ok(bytes < 150_000, `${bytes} bytes in all`)
  for (const path of ['/console/assets/none.js', '/console/assets/..%2findex.html', '/console/'])
    t.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 404, path)
})

t.test('the stream counts requests as they come, for every viewer the same', async (t) => {
  const { port, child, ended } = await startProcess(t, { MULTIGATE_MODELS: models })
  const viewers = [await watchLive(t, port), await watchLive(t, port), await watchLive(t, port)]
  const [first] = viewers
  t.match(first!.answer.headers.get('content-type'), 'text/event-stream')
  await until(() => viewers.every(({ samples }) => samples().length > 0))
  t.match(first!.seen[0], { event: 'history', data: { at: Number, clock: Number, fine: [], events: [] } })
  for (let i = 0; i < 5; i++) t.equal((await send(port, '/predict', { payload })).status, 200)
  t.equal((await send(port, '/predict', { payload: '{}' })).status, 400)
  await until(() => viewers.every(({ sum }) => Math.round(sum(({ requests }) => requests)) >= 6))
  for (const { sum, samples } of viewers) {
    t.equal(Math.round(sum(({ requests }) => requests)), 6)
    t.equal(Math.round(sum(({ ok }) => ok)), 5)
    t.equal(Math.round(sum(({ candidates }) => candidates)), 5)
    t.equal(Math.round(sum(({ failed }) => failed.invalid_request ?? 0)), 1)
    const used = samples().find((sample) => sample.models.length > 0)
    t.match(used, { models: [{ model: 'ads', version: '1' }], processes: [{ pid: child.pid, workers: 1 }] })
    t.ok(used.models[0].total.p99 > 0)
  }
  // It ends with the server, which waits for nobody.
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  await until(() => viewers.every(({ over }) => over()))
})

t.test('viewers are bounded, and no address keeps out another one', async (t) => {
  const { port } = plain
  const viewers = await Promise.all(Array.from({ length: 32 }, () => watchLive(t, port)))
  const refused = await fetch(`http://127.0.0.1:${port}/console/live`)
  t.match([refused.status, await refused.json()], [429, { code: 'QUEUE_FULL', detail: /32 live streams/ }])
  t.equal((await fetch(`http://127.0.0.1:${port}/console/live`, { method: 'HEAD' })).status, 200)
  const elsewhere = get({ host: '127.0.0.1', localAddress: '127.0.0.2', port, path: '/console/live' })
  const [other] = await once(elsewhere, 'response')
  t.equal(other.statusCode, 200)
  elsewhere.destroy()
  await until(() => viewers.some(({ over }) => over()))
  t.equal(viewers.filter(({ over }) => over()).length, 1)
  await until(async () => {
    const { answer, leave } = await watchLive(t, port)
    await leave()
    return answer.status === 200
  })
})

t.test('clients with keys share the streams; none of them ends those of another in turn', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  writeKeys(file, ['a', ['metrics']], ['b', ['metrics']], ['c', ['metrics']])
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_KEYS: file })
  const watch = (key: string) => watchLive(t, port, { authorization: `Bearer key-${key}` })
  const a = await Promise.all(Array.from({ length: 30 }, () => watch('a')))
  const b = [await watch('b'), await watch('b')]
  t.equal((await watch('a')).answer.status, 429, 'one that has most gets no more')
  for (let i = 0; i < 14; i++) b.push(await watch('b'))
  const watching = (viewers: typeof a) => viewers.filter(({ answer, over }) => answer.status === 200 && !over()).length
  await until(() => watching(a) === 16)
  for (const key of ['a', 'b', 'a', 'b']) t.equal((await watch(key)).answer.status, 429, 'they come back')
  t.equal((await watch('c')).answer.status, 200)
  await until(() => watching(a) + watching(b) === 31)
})

t.test('it can be switched off', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_CONSOLE: 'false' })
  const root = await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' })
  t.match([root.status, root.headers.get('location')], [302, 'docs'])
  for (const path of ['/console/live', '/console/assets/main.js'])
    t.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 404, path)
})

t.test('keys: the page opens, its figures need the scope metrics', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  writeKeys(file, ['caller', ['predict']], ['on-call', ['metrics']])
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_KEYS: file })
  const page = await fetch(`http://127.0.0.1:${port}/`)
  t.equal(page.status, 200)
  const [script] = /console\/assets\/main-[^"]+\.js/.exec(await page.text()) ?? []
  t.equal((await fetch(`http://127.0.0.1:${port}/${script}`)).status, 200)
  const status = async (headers: Record<string, string>) => {
    const { answer, leave } = await watchLive(t, port, headers)
    await leave()
    return answer.status
  }
  t.equal(await status({}), 401)
  t.equal(await status({ authorization: 'Bearer key-caller' }), 403)
  t.equal(await status({ authorization: 'Bearer key-on-call' }), 200)

  // A key that is revoked ends the streams that it has opened.
  const { samples, over } = await watchLive(t, port, { authorization: 'Bearer key-on-call' })
  await until(() => samples().length > 0)
  const headers = { 'content-type': 'application/json', authorization: 'Bearer key-caller' }
  for (const body of ['{}', '{"candidates":[{}]}'])
    t.equal((await fetch(`http://127.0.0.1:${port}/predict`, { method: 'POST', headers, body })).status, 400)
  await until(() => samples().some(({ clients }) => clients.length > 0))
  const clients = samples().flatMap(({ clients }) => clients)
  t.match(clients[0], { client: 'caller', candidates: 0 })
  t.ok(clients[0].failed > 0)
  writeKeys(file, ['caller', ['predict']])
  await until(over)
})

t.test('requests refused for their key are counted, and are of its client', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  writeKeys(file, ['on-call', ['metrics', 'admin']], ['batch', ['predict'], { requests_per_second: 1 }])
  const authorization = 'Bearer key-on-call'
  // Recorded requests take the longer path.
  for (const recent of ['0', '50']) {
    const { port } = await startProcess(t, {
      MULTIGATE_MODELS: models,
      MULTIGATE_KEYS: file,
      MULTIGATE_ADMIN: 'true',
      MULTIGATE_RECENT_REQUESTS: recent,
    })
    const { samples, sum } = await watchLive(t, port, { authorization })
    await until(() => samples().length > 0)
    const ask = async (key: string) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
      const answer = await fetch(`http://127.0.0.1:${port}/predict`, { method: 'POST', headers, body: '{}' })
      return answer.status
    }
    const statuses = []
    for (const key of ['key-batch', 'key-batch', 'key-batch', 'none']) statuses.push(await ask(key))
    t.same(statuses, [400, 429, 429, 401])
    await until(() => Math.round(sum(({ failed }) => failed.unauthorized ?? 0)) === 1)
    t.equal(Math.round(sum(({ failed }) => failed.rate_limited ?? 0)), 2)
    t.equal(Math.round(sum(({ requests }) => requests)), 4)
    const refused = samples()
      .flatMap(({ clients }) => clients)
      .find(({ client }) => client === 'batch')
    t.ok(refused.failed > 0)
    if (recent === '0') continue
    const listed = await fetch(`http://127.0.0.1:${port}/debug/requests`, { headers: { authorization } })
    const { failed } = (await listed.json()) as any
    t.match(
      failed.map(({ code, client }: any) => [code, client]),
      [
        ['UNAUTHORIZED', '127.0.0.1'],
        ['RATE_LIMITED', 'batch'],
        ['RATE_LIMITED', 'batch'],
        ['INVALID_REQUEST', 'batch'],
      ],
    )
  }
})

t.test('with an administration port, the console is there, with what it asks', async (t) => {
  const adminPort = await freePort()
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_ADMIN_PORT: String(adminPort),
  })
  t.equal((await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' })).status, 302)
  t.equal((await fetch(`http://127.0.0.1:${port}/console/live`)).status, 404)
  t.equal((await fetch(`http://127.0.0.1:${adminPort}/`)).status, 200)
  const { samples, sum } = await watchLive(t, adminPort)
  await until(() => samples().length > 0)
  t.equal((await send(adminPort, '/models')).status, 200)
  t.equal((await send(adminPort, '/models/ads/fields/country/values')).status, 200)
  t.equal((await send(adminPort, '/predict', { payload })).status, 200)
  t.equal((await send(port, '/predict', { payload })).status, 200)
  await until(() => Math.round(sum(({ requests }) => requests)) === 2)
})

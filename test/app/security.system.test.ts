import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import { Agent, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import t from 'tap'
import { freePort } from '../../loadtest/free-port.ts'
import { readKeys } from '../../src/app/key-file.ts'
import { readCredentials } from '../../src/app/tls.ts'
import type { Entity } from '../../src/schemas/entities.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { run, send, startProcess } from '../support/process.ts'
import { writeTable } from '../support/tables.ts'
import { until } from '../support/until.ts'

/*
 * Keys, TLS and the administration port, tried on the real process over real sockets.
 */

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { name: 'other' })
await writeTable(models, 'spare', [{ id: 'x', size: 1 }])
const candidates = [{ campaign: 'c9', price: 1.25 }]
const payload = (more: object = {}) =>
  JSON.stringify({ model: 'ads', context: { country: 'DE', hour: 21 }, candidates, ...more })

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const entry = (id: string, more: object = {}) => ({ id, sha256: sha256(`key-${id}`), scopes: ['predict'], ...more })

/** Replaces the file in one step, as `multigate keys` does. */
function writeKeys(file: string, ...keys: object[]): void {
  writeFileSync(`${file}.new`, JSON.stringify({ keys }), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

async function ask(port: number, path: string, key: string | undefined, body?: string) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body }),
    headers: {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text }
}

t.test('keys: what each opens, other keys without a restart, and a broken file that changes nothing', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  writeKeys(
    file,
    entry('backend'),
    entry('tenant', { models: ['other'] }),
    entry('prometheus', { scopes: ['metrics'] }),
    entry('slow', { requests_per_second: 1 }),
    entry('old', { expires: '2020-01-01T00:00:00Z' }),
  )
  const { port, stdout, lines } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_KEYS: file,
    MULTIGATE_POLL_SECONDS: '0.2',
  })
  const predict = (key: string | undefined, more?: object) => ask(port, '/predict', key, payload(more))

  t.equal((await ask(port, '/livez', undefined)).status, 200)
  t.equal((await ask(port, '/docs/json', undefined)).status, 200)
  const without = await predict(undefined)
  t.match([without.status, without.headers.get('www-authenticate')], [401, 'Bearer realm="multigate"'])
  t.match(JSON.parse(without.text), { code: 'UNAUTHORIZED' })
  t.equal((await predict('key-nobody')).status, 401)
  t.match(JSON.parse((await predict('key-old')).text), { code: 'UNAUTHORIZED', detail: /old has expired/ })
  t.equal((await predict('key-backend')).status, 200)
  t.equal((await ask(port, '/metrics', 'key-backend')).status, 403)
  t.equal((await ask(port, '/v2/repository/index', 'key-backend', '{}')).status, 403)
  const metrics = await ask(port, '/metrics', 'key-prometheus')
  t.match(metrics.text, /^multigate_denied_total\{reason="unknown"\} 1$/m)
  t.match(metrics.text, /^multigate_key_rows_total\{key="backend"\} 1$/m)
  t.notMatch(metrics.text, /nobody/)

  // A tenant's key opens its models, and tells of no others.
  t.equal((await predict('key-tenant', { model: 'other' })).status, 200)
  t.match(JSON.parse((await ask(port, '/predict', 'key-tenant', payload({ model: undefined }))).text), {
    model: 'other',
  })
  for (const path of ['/models', '/v1/models', '/v2/models/stats'])
    t.notMatch((await ask(port, path, 'key-tenant')).text, /"ads"/, path)
  const tablesOf = async (key: string) => {
    const [tables, models] = await Promise.all(['/tables', '/models'].map((path) => ask(port, path, key)))
    return [JSON.parse(tables!.text).tables.length, JSON.parse(models!.text).feature_tables]
  }
  await until(async () => (await tablesOf('key-backend'))[0] === 1)
  t.same(await tablesOf('key-backend'), [1, 1])
  t.same(await tablesOf('key-tenant'), [0, undefined], 'no model of its reads the table')
  for (const [path, body] of [
    ['/predict', payload()],
    ['/models/ads', undefined],
    ['/models/ads/fields/country/values', undefined],
    ['/v1/models/ads', undefined],
    ['/v1/models/ads/metadata', undefined],
    ['/v1/models/ads:predict', '{"instances": [{}]}'],
    ['/v2/models/ads', undefined],
    ['/v2/models/ads/ready', undefined],
    ['/v2/models/ads/config', undefined],
    ['/v2/models/ads/stats', undefined],
    ['/v2/models/ads/infer', '{"inputs": []}'],
  ] as const) {
    const answer = await ask(port, path, 'key-tenant', body)
    const unknown = await ask(port, path.replace('ads', 'gone'), 'key-tenant', body?.replace('"ads"', '"gone"'))
    t.ok(answer.status >= 400, path)
    t.equal(answer.status, unknown.status, path)
    t.equal(
      answer.text.replaceAll('ads', 'gone').replace(/request_id":"[^"]+/, ''),
      unknown.text.replace(/request_id":"[^"]+/, ''),
      path,
    )
  }

  // A large body is not read.
  const large = await send(port, '/predict', { payload: ' '.repeat(200_000) })
  t.ok(large.status === 401 ? large.connection === 'close' : large.error !== undefined)

  // Limits.
  t.equal((await predict('key-slow')).status, 200)
  const limited = await predict('key-slow')
  t.match([limited.status, limited.headers.get('retry-after')], [429, '1'])
  t.match(JSON.parse(limited.text), { code: 'RATE_LIMITED' })

  // Revoked and added, while it serves.
  writeKeys(file, entry('new'))
  await until(async () => (await predict('key-new')).status === 200)
  t.equal((await predict('key-backend')).status, 401)
  writeFileSync(file, '{"keys": [')
  await until(() => stdout().includes('the former keys stay'))
  t.equal((await predict('key-new')).status, 200)
  t.notMatch(stdout(), /key-\w/, 'no key is logged')
  t.match(
    lines().find(({ msg }: any) => msg === 'keys have changed'),
    { keys: ['new'] },
  )
})

t.test('keys that can not be used, and administration open to all, end the start', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  const start = async (variables: Record<string, string>) => {
    const { ended, stderr } = run(t, { MULTIGATE_PORT: '0', MULTIGATE_MODELS: models, ...variables })
    return [await ended, stderr()]
  }
  await t.rejects(readKeys(file), { message: /the file of keys \S+keys\.json is missing/ })
  writeFileSync(file, '')
  await t.rejects(readKeys(file), { message: /keys\.json can't be used: it is empty/ })
  writeKeys(file, entry('a'))
  execFileSync('chmod', ['o+w', file])
  await t.rejects(readKeys(file), { message: /keys\.json is writable by everyone/ })
  // check-access.test.ts has the other settings that it refuses.
  t.match(await start({ MULTIGATE_ADMIN: 'true', MULTIGATE_HOST: '0.0.0.0' }), [
    1,
    /MULTIGATE_ADMIN=true on 0\.0\.0\.0 would let everyone who reaches it unload models: set MULTIGATE_KEYS/,
  ])
})

t.test('the administration port has administration and metrics, and the main port has them no longer', async (t) => {
  // One process has it in the test of web pages.
  for (const processes of process.env.FULL ? ['1', '2'] : ['2']) {
    const adminPort = await freePort()
    const server = await startProcess(
      t,
      { MULTIGATE_MODELS: models, MULTIGATE_ADMIN_PORT: String(adminPort), MULTIGATE_PROCESSES: processes },
      processes === '1' ? 'ready' : 'all processes are ready',
    )
    const { port } = server
    t.match((await send(adminPort, '/metrics')).text, /multigate_requests_total/)
    t.equal((await send(adminPort, '/livez')).status, 200)
    t.equal((await send(adminPort, '/v2/repository/models/other/unload', { payload: '{}' })).status, 200)
    t.equal((await send(port, '/predict', { payload: payload({ model: 'other' }) })).status, 503)
    t.equal((await send(adminPort, '/v2/repository/models/other/load', { payload: '{}' })).status, 200)
    t.equal((await send(port, '/predict', { payload: payload({ model: 'other' }) })).status, 200)
    t.equal((await send(adminPort, '/predict', { payload: payload() })).status, 200, 'for the console')
    t.equal((await send(adminPort, '/v2/models/ads/infer', { payload: payload() })).status, 404)
    const foreign = await fetch(`http://127.0.0.1:${adminPort}/v2/repository/models/ads/unload`, {
      method: 'POST',
      headers: { origin: 'https://evil.example' },
    })
    t.equal(foreign.status, 403)
    for (const path of ['/metrics', '/v2/repository/index']) t.equal((await send(port, path)).status, 404, path)
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
  }
})

const keysFile = join(await temporaryFolder(t), 'keys.json')
writeKeys(
  keysFile,
  entry('backend'),
  entry('prometheus', { scopes: ['metrics'] }),
  entry('boss', { scopes: ['admin', 'predict'] }),
)
/** The server of the next three tests. */
const keyed = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_ADMIN: 'true', MULTIGATE_KEYS: keysFile })

t.test('web pages administer nothing where there are no keys, and clients do', async (t) => {
  const adminPort = await freePort()
  const open = { MULTIGATE_MODELS: models, MULTIGATE_SLOW_REQUESTS: '5', MULTIGATE_ALLOWED_HOSTS: 'Admin.example.com' }
  const main = await startProcess(t, { ...open, MULTIGATE_ADMIN: 'true' })
  const apart = await startProcess(t, { ...open, MULTIGATE_ADMIN_PORT: String(adminPort) })

  const unload = ['POST', '/v2/repository/models/other/unload'] as const
  const administration = [
    unload,
    ['POST', '/models/ads/unpin'],
    ['GET', '/debug/requests'],
    ['GET', '/debug/slow'],
    ['GET', '/debug/prediction-log'],
  ] as const
  const answer = async (port: number, [method, path]: readonly [string, string], headers: Record<string, string>) => {
    const sent = requestPlain({ host: '127.0.0.1', port, method, path, headers }).end()
    const [response] = await once(sent, 'response')
    const text: string[] = await response.setEncoding('utf8').toArray()
    return { status: response.statusCode, text: text.join('') }
  }
  for (const port of [main.port, adminPort]) {
    const rebound = `rebound.example:${port}`
    for (const path of administration) {
      for (const [headers, reason] of [
        // A page whose name leads here now: of GET and HEAD a browser sends no more than this.
        [
          { host: rebound },
          /rebound\.example:\d+: ask an IP address or localhost, or add the name to MULTIGATE_ALLOWED_H/,
        ],
        [{ host: rebound, origin: `http://${rebound}` }, /MULTIGATE_ALLOWED_HOSTS/],
        // A form, or fetch without CORS, of another site; of another port of this machine; of a page in a sandbox.
        [{ origin: 'https://evil.example', 'content-type': 'text/plain' }, /Pages of other origins .* without a key/],
        [{ 'sec-fetch-site': 'cross-site' }, /Pages of other origins/],
        [{ 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:5000' }, /Pages of other origins/],
        [{ origin: 'null' }, /Pages of other origins/],
      ] as const) {
        const refused = await answer(port, path, headers)
        t.equal(refused.status, 403, `${path} ${JSON.stringify(headers)}`)
        t.match(refused.text, reason)
      }
      for (const headers of [
        {},
        { host: `localhost:${port}`, origin: `http://localhost:${port}` },
        { host: `[::1]:${port}` },
        { host: `10.1.2.3:${port}` },
        { host: 'multigate-admin.ranking.svc' },
        { host: 'admin.example.com' },
        // A proxy that sets `Host`.
        { origin: 'https://proxy.example', 'sec-fetch-site': 'same-origin' },
      ])
        t.equal((await answer(port, path, headers)).status, 200, `${path} ${JSON.stringify(headers)}`)
    }
    t.equal((await answer(port, ['GET', '/models'], { host: rebound })).status, 200, 'the rest is open to all')
  }
  const key = { authorization: 'Bearer key-boss' }
  t.equal(
    (await answer(keyed.port, unload, { ...key, host: 'ads.example.com', origin: 'https://a.example' })).status,
    200,
  )
  t.equal((await answer(apart.port, unload, {})).status, 404)
})

t.test('a body is asked for only once its key is accepted; a large one that is refused is not read', async (t) => {
  const { port } = keyed
  /** The server's answer to these headers; the body is sent when it is asked for. */
  const converse = (head: string[], body = payload()) =>
    new Promise<string>((resolve) => {
      const socket = connectPlain(port, '127.0.0.1')
      let text = ''
      let sent = false
      socket.setEncoding('utf8').on('data', (part) => {
        text += part
        if (!sent && text.startsWith('HTTP/1.1 100 Continue\r\n\r\n')) {
          sent = true
          socket.write(body)
        }
        if (/^HTTP\/1.1 [2-5]/m.test(text) && text.includes('\r\n\r\n{')) socket.destroy()
      })
      socket.on('close', () => resolve(text))
      const length = `content-length: ${Buffer.byteLength(body)}`
      socket.write(`${[...head, 'host: a', 'content-type: application/json', length].join('\r\n')}\r\n\r\n`)
    })
  const expect = 'expect: 100-continue'
  const good = await converse(['POST /predict HTTP/1.1', 'x-api-key: key-backend', expect])
  t.match(good, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /)
  t.notMatch(good, /connection: close/i)
  t.match(
    await converse(['POST /predict HTTP/1.1', 'x-api-key: wrong', expect]),
    /^HTTP\/1.1 401 [\s\S]*connection: close/i,
  )
  t.match(
    await converse(['POST /nowhere HTTP/1.1', 'x-api-key: key-backend', expect]),
    /^HTTP\/1.1 404 [\s\S]*connection: close/i,
  )
  t.match(
    await converse(['POST /nowhere HTTP/1.1', 'x-api-key: key-backend'], ' '.repeat(100_000)),
    /^HTTP\/1.1 404 [\s\S]*connection: close/i,
  )
  t.match(
    await converse(['PUT /predict HTTP/1.1', 'x-api-key: key-backend'], ' '.repeat(100_000)),
    /^HTTP\/1.1 405 [\s\S]*connection: close/i,
  )
  const twice = ['POST /predict HTTP/1.1', 'authorization: Bearer key-backend', 'authorization: Bearer wrong']
  t.match(await converse(twice), /^HTTP\/1.1 400 [\s\S]*more than one Authorization header/)
})

t.test('a flood of wrong keys is held, and keeps no good request waiting', async (t) => {
  const { port, stdout } = keyed
  const denied = async () => {
    const { text } = await ask(port, '/metrics', 'key-prometheus')
    return Number(/^multigate_denied_total\{reason="unknown"\} (\d+)$/m.exec(text)?.[1])
  }
  const before = await denied()
  const order: string[] = []
  const connections = new Set<string | null>()
  const refused = (key: string) =>
    ask(port, '/predict', key, payload()).then(({ status, headers }) => {
      connections.add(headers.get('connection'))
      order.push(`${status}`)
    })
  await Promise.all(Array.from({ length: 110 }, (_, i) => refused(`wrong-secret-${i}`)))
  t.equal(order.filter((status) => status === '401').length, 110)
  order.length = 0
  t.ok(connections.has('close'), 'what is pipelined behind a held refusal is not read')
  const held = Promise.all(Array.from({ length: 30 }, () => refused('wrong-secret')))
  const good = await ask(port, '/predict', 'key-backend', payload())
  order.push(`${good.status}`)
  await held
  t.ok(order.indexOf('200') < 29, 'the good one comes later, and is answered before most of them')

  // Clients that leave while their refusals are held leave nothing behind.
  const leaving = new AbortController()
  const abandoned = Array.from({ length: 20 }, () =>
    fetch(`http://127.0.0.1:${port}/predict`, { method: 'POST', body: payload(), signal: leaving.signal }).catch(
      () => 0,
    ),
  )
  await until(() => true)
  leaving.abort()
  await Promise.all(abandoned)
  t.equal((await ask(port, '/predict', 'key-backend', payload())).status, 200)
  t.equal((await denied()) - before, 140)
  t.notMatch(stdout(), /wrong-secret/)
})

t.test("a key's share of the queue is its own: others are answered while it is used up", async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  writeKeys(
    file,
    entry('limited', { queue_share: 0.01, cache_share: 0.5 }),
    entry('single', { concurrent_requests: 1 }),
    entry('free'),
    entry('prometheus', { scopes: ['metrics'] }),
  )
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_KEYS: file,
    // Requests wait for each other, long enough to meet in the queue.
    MULTIGATE_MAX_DELAY_MS: '1000',
    MULTIGATE_MAX_QUEUE_ROWS: '1000',
    MULTIGATE_MAX_BATCH_ROWS: '256',
  })
  // With gates they are computed by workers, and wait for them.
  const rows = (count: number) =>
    payload({ candidates: Array.from({ length: count }, () => candidates[0]), options: { gates: true } })
  const first = ask(port, '/predict', 'key-limited', rows(10))
  await until(async () =>
    /^multigate_queue_rows\{model="ads",version="1"\} 10$/m.test((await ask(port, '/metrics', 'key-prometheus')).text),
  )
  const second = await ask(port, '/predict', 'key-limited', rows(1))
  t.match([second.status, second.headers.get('retry-after')], [429, /^[1-9]/])
  t.match(JSON.parse(second.text), {
    code: 'QUEUE_FULL',
    detail: "The key's share of the queue is full: 10 of its rows are waiting",
  })
  const single = [1, 2].map(() => ask(port, '/predict', 'key-single', rows(1)))
  const other = await ask(port, '/predict', 'key-free', rows(200))
  t.equal(other.status, 200)
  t.equal((await first).status, 200)
  const answers = await Promise.all(single)
  t.same(answers.map(({ status }) => status).sort(), [200, 429])
  t.match(JSON.parse(answers.find(({ status }) => status === 429)!.text), {
    code: 'RATE_LIMITED',
    detail: /single has 1 requests in progress/,
  })
  t.equal((await ask(port, '/predict', 'key-single', rows(200))).status, 200, 'once it has been answered')
  const metrics = await ask(port, '/metrics', 'key-prometheus')
  t.match(metrics.text, /^multigate_shed_total\{model="ads",version="1",reason="quota"\} 1$/m)
  t.match(metrics.text, /^multigate_resident_bytes\{model="ads",version="1",part="variants"\} [1-9]/m)
})

t.test('the limit of a key holds over all processes together', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  writeKeys(file, entry('limited', { requests_per_second: 20 }))
  const server = await startProcess(
    t,
    { MULTIGATE_MODELS: models, MULTIGATE_KEYS: file, MULTIGATE_PROCESSES: '2' },
    'all processes are ready',
  )
  const began = performance.now()
  let taken = 0
  // Each request has a connection of its own, and so the next process.
  while (performance.now() - began < 1500) {
    const { status } = await fetch(`http://127.0.0.1:${server.port}/models`, {
      headers: { 'x-api-key': 'key-limited', connection: 'close' },
    })
    if (status === 200) taken++
    await sleep(5)
  }
  const seconds = (performance.now() - began) / 1000
  // Each process has a full bucket at first, and learns of the other's use after a tenth of a second.
  t.ok(taken <= 20 * (seconds + 2) + 10, `${taken} in ${seconds} s`)
})

t.test('clients read responses from pages of the origins that are listed, and of no other', async (t) => {
  const { port, stdout } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_CORS_ORIGINS: 'https://a.example, https://b.example',
    MULTIGATE_HOST: '0.0.0.0',
    MULTIGATE_ADMIN_PORT: String(await freePort()),
    MULTIGATE_ADMIN_HOST: '0.0.0.0',
  })
  // An address that others reach, without keys, is named once.
  t.equal(stdout().split('the administration port on 0.0.0.0 can unload models').length, 2)
  t.equal(stdout().split('everyone who reaches 0.0.0.0 can send requests').length, 2)
  const allowed = async (origin: string) =>
    (await fetch(`http://127.0.0.1:${port}/models`, { headers: { origin } })).headers.get('access-control-allow-origin')
  t.equal(await allowed('https://b.example'), 'https://b.example')
  t.equal(await allowed('https://c.example'), null)
  const preflight = await fetch(`http://127.0.0.1:${port}/predict`, {
    method: 'OPTIONS',
    headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
  })
  t.equal(preflight.status, 204)
  t.match(preflight.headers.get('access-control-allow-headers'), /authorization/)
  t.equal((await send(port, '/nothing')).status, 404)
})

t.test('with keys of models only signed versions are served, with signed tables', async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  await writeTestBundle(folder, { name: 'forged' })
  const ad: Entity = {
    key: 'ad_id',
    side: 'candidate',
    table: 'ads',
    features: ['campaign', 'price'],
    unknown: 'refuse',
  }
  await writeTestBundle(folder, { name: 'by-id', manifest: { entities: { ad } } })
  await writeTable(folder, 'ads', [{ id: 'ad-1', campaign: 'c1', price: 1.5 }])
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const [keys, signing] = [join(folder, 'model-keys.pem'), join(folder, 'signing.pem')]
  writeFileSync(keys, publicKey.export({ format: 'pem', type: 'spki' }))
  writeFileSync(signing, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const sign = (...names: string[]) => ['sign', ...names.map((name) => join(folder, name, '1')), '--key', signing]
  t.equal((await runCli(sign('ads', 'by-id'))).code, 0)
  const { port, stdout } = await startProcess(t, {
    MULTIGATE_MODELS: folder,
    MULTIGATE_MODEL_KEYS: keys,
    MULTIGATE_POLL_SECONDS: '0.2',
  })
  t.equal((await send(port, '/predict', { payload: payload() })).status, 200)
  t.equal((await send(port, '/predict', { payload: payload({ model: 'forged' }) })).status, 503)
  t.match(stdout(), /forged\/1\/manifest\.json\.sig is missing/)
  t.match(stdout(), /"table":"ads","version":"1","reason":"\.tables\/ads\/1\/table\.json\.sig is missing; /)
  t.match(stdout(), /by-id\/1\/entities\/ad: there is no table \\"ads\\" beside the models/)
  t.equal((await runCli(sign('forged', '.tables/ads'))).code, 0)
  await until(async () => (await send(port, '/predict', { payload: payload({ model: 'forged' }) })).status === 200)
  const byId = payload({ model: 'by-id', candidates: ['ad-1'] })
  await until(async () => (await send(port, '/predict', { payload: byId })).status === 200)
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const needsOpenssl = { skip: hasOpenssl ? false : 'openssl is not installed' }

/** A certificate of the authority `by`, or an authority itself; its files. */
function certify(folder: string, name: string, by?: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert]
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '30']
  const issuer = by === undefined ? [] : ['-CA', join(folder, `${by}.crt`), '-CAkey', join(folder, `${by}.key`)]
  execFileSync('openssl', ['req', '-x509', ...options, ...subject, ...issuer], { stdio: 'pipe' })
  return { cert, key }
}

interface TlsAnswer {
  status: number | undefined
  subject: string | undefined
}

function askTls(port: number, agent: Agent, body?: string): Promise<TlsAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        agent,
        port,
        host: '127.0.0.1',
        path: '/predict',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      },
      (answer) => {
        const { subject } = (answer.socket as any).getPeerCertificate()
        answer.resume().on('end', () => resolve({ status: answer.statusCode, subject: subject?.CN }))
      },
    )
    asked.on('error', reject).end(body ?? payload())
  })
}

// Two processes do all that one does.
for (const processes of process.env.FULL ? ['1', '2'] : ['2'])
  t.test(
    `TLS, ${processes} processes: a certificate that is replaced under load loses nothing, one that doesn't fit is refused`,
    needsOpenssl,
    async (t) => {
      const folder = await temporaryFolder(t)
      const [first, second, third] = ['first', 'second', 'third'].map((name) => certify(folder, name))
      const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
      const install = (from: { cert: string; key: string }) => {
        writeFileSync(cert, readFileSync(from.cert))
        writeFileSync(key, readFileSync(from.key))
      }
      install(first!)
      const server = await startProcess(
        t,
        { MULTIGATE_MODELS: models, MULTIGATE_TLS_CERT: cert, MULTIGATE_TLS_KEY: key, MULTIGATE_PROCESSES: processes },
        processes === '1' ? 'ready' : 'all processes are ready',
      )
      const { port, stdout } = server
      const once = () => new Agent({ rejectUnauthorized: false, keepAlive: false, maxCachedSessions: 0 })
      const kept = new Agent({ rejectUnauthorized: false, keepAlive: true, maxSockets: 1 })
      t.same(await askTls(port, once()), { status: 200, subject: 'first' })

      // Load from new and kept connections, all the time.
      const failures: unknown[] = []
      let answered = 0
      let loading = true
      const client = async (agent: () => Agent) => {
        while (loading) {
          await askTls(port, agent()).then(
            ({ status }) => (status === 200 ? answered++ : failures.push(status)),
            (error) => failures.push(error),
          )
          // Without a pause, handshakes take the cores that the server needs.
          await sleep(20)
        }
      }
      const clients = [client(once), client(once), client(() => kept)]

      // Its certificate alone does not fit the key.
      const refusals = () => stdout().split('the former certificate stays').length - 1
      writeFileSync(cert, readFileSync(second!.cert))
      await until(() => refusals() >= Number(processes))
      t.equal((await askTls(port, once())).subject, 'first')
      writeFileSync(key, readFileSync(second!.key))
      await until(async () => (await askTls(port, once())).subject === 'second')
      install(third!)
      // Every process has it: connections go to them in turn.
      await until(async () => {
        for (let i = 0; i < 6; i++) if ((await askTls(port, once())).subject !== 'third') return false
        return true
      })
      t.match(stdout(), /the certificate has changed/)
      t.equal((await askTls(port, kept)).subject, 'first', 'a connection keeps its certificate')
      loading = false
      await Promise.all(clients)
      t.same(failures, [])
      t.ok(answered > 20, String(answered))

      // HTTP/1.1 alone.
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] })
      await new Promise((resolve) => socket.once('secureConnect', resolve))
      t.equal(socket.alpnProtocol, 'http/1.1')
      socket.destroy()
      t.match((await send(port, '/livez')).error, /ECONNRESET|socket hang up/, 'without TLS nothing is answered')
      kept.destroy()
      server.child.kill('SIGTERM')
      t.equal(await server.ended, 0)
    },
  )

t.test('mutual TLS: a client needs a certificate of the authority', needsOpenssl, async (t) => {
  const folder = await temporaryFolder(t)
  const ours = certify(folder, 'server')
  certify(folder, 'authority')
  const client = certify(folder, 'client', 'authority')
  const stranger = certify(folder, 'stranger')
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_TLS_CERT: ours.cert,
    MULTIGATE_TLS_KEY: ours.key,
    MULTIGATE_TLS_CLIENT_CA: join(folder, 'authority.crt'),
  })
  const agent = (of?: { cert: string; key: string }) =>
    new Agent({ rejectUnauthorized: false, ...(of && { cert: readFileSync(of.cert), key: readFileSync(of.key) }) })
  t.equal((await askTls(port, agent(client))).status, 200)
  await t.rejects(askTls(port, agent()))
  await t.rejects(askTls(port, agent(stranger)))
})

t.test('certificates that can not be used end the start', needsOpenssl, async (t) => {
  const folder = await temporaryFolder(t)
  const [one, other] = [certify(folder, 'one'), certify(folder, 'other')]
  const empty = join(folder, 'empty')
  writeFileSync(empty, '')
  for (const [cert, key, reason] of [
    [one.cert, '', /MULTIGATE_TLS_CERT needs MULTIGATE_TLS_KEY/],
    [empty, one.key, /MULTIGATE_TLS_CERT is no certificate in PEM/],
    [one.cert, empty, /MULTIGATE_TLS_KEY is no private key in PEM/],
    [join(folder, 'none'), one.key, /MULTIGATE_TLS_CERT: \S+ is missing/],
  ] as const) {
    const files = { MULTIGATE_TLS_CERT: cert, MULTIGATE_TLS_KEY: key, MULTIGATE_TLS_CLIENT_CA: '' }
    await t.rejects(readCredentials(files), { message: reason })
  }
  const pair = { MULTIGATE_TLS_CERT: one.cert, MULTIGATE_TLS_KEY: other.key }
  const { ended, stderr } = run(t, { MULTIGATE_PORT: '0', MULTIGATE_MODELS: models, ...pair })
  t.equal(await ended, 1)
  t.match(stderr(), /MULTIGATE_TLS_KEY is not the key of MULTIGATE_TLS_CERT's certificate/)
})

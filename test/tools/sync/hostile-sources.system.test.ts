import { createHash } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { openSource } from '../../../src/tools/sync/open-source.ts'
import { Synchroniser } from '../../../src/tools/sync/synchroniser.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { serveRequests } from '../../support/serve-requests.ts'

/*
 * Servers that answer what they should not, each as every kind of source.
 */

const signal = new AbortController().signal
const silence = 300

/** Serves on a free port, and is every source's server. */
async function serve(t: Test, answer: RequestListener): Promise<Record<string, string>> {
  const host = await serveRequests(t, answer)
  const env: Record<string, string> = {
    AWS_ENDPOINT_URL_S3: `http://${host}`,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    STORAGE_EMULATOR_HOST: host,
    DOCKER_CONFIG: await temporaryFolder(t),
  }
  for (const [name, value] of Object.entries(env)) {
    const former = process.env[name]
    process.env[name] = value
    t.teardown(() => {
      if (former === undefined) delete process.env[name]
      else process.env[name] = former
    })
  }
  return {
    http: `http://me:secret@${host}/models`,
    s3: 's3://bucket/models',
    gs: 'gs://bucket/models',
    oci: `oci://${host}/team/models:prod`,
  }
}

async function problemOf(t: Test, address: string): Promise<string> {
  const options = { folder: await temporaryFolder(t), keep: 0, now: () => 0, onBytes: () => undefined, delay: () => 0 }
  const sync = await Synchroniser.open({ ...options, source: await openSource(address), silence })
  return sync.run(signal).then(
    ({ problems }) => problems.join('\n'),
    (error) => error.message,
  )
}

/** A byte now and then, for as long as the client takes it. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), silence / 10)
  response.once('close', () => clearInterval(timer))
}

t.test('a server that is silent, or sends a byte now and then', async (t) => {
  const addresses = await serve(t, ({ url = '' }, response) => {
    if (!url.includes('silent')) drip(response)
  })
  for (const address of Object.values(addresses))
    for (const place of [address, address.replace('models', 'silent')])
      t.match(await problemOf(t, place), / is silent for 0 s, or slower than 64 KiB\/s$/, place)
})

t.test('a registry whose server of tokens is', async (t) => {
  const { oci } = await serve(t, ({ url, headers }, response) => {
    if (url?.startsWith('/token')) return drip(response)
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${headers.host}/token"` }).end()
  })
  t.match(await problemOf(t, oci!), /^oci:.* is silent for 0 s/)
})

t.test('answers without the index', async (t) => {
  const cases: [number, RegExp][] = [
    [304, /HTTP 304/],
    [204, /HTTP 204/],
    [206, /HTTP 206/],
    [302, /HTTP 302/],
    [404, /HTTP 404/],
  ]
  let status = 0
  const addresses = await serve(t, (_, response) => response.writeHead(status).end())
  for (const [code, message] of cases) {
    status = code
    for (const address of Object.values(addresses)) t.match(await problemOf(t, address), message, `${code} ${address}`)
  }
})

t.test(
  'a source without an index of tables has none, also where it forbids to ask; other answers are faults',
  async (t) => {
    const file = { bytes: 1, sha256: createHash('sha256').update('x').digest('hex') }
    const index = JSON.stringify({ format: 1, models: { ads: { versions: { 1: { a: file } } } } })
    let status = 0
    const { http, s3, gs } = await serve(t, ({ url = '' }, response) => {
      const path = decodeURIComponent(url)
      if (path.includes('.tables')) response.writeHead(status).end()
      else response.end(path.includes('index.json') ? index : 'x')
    })
    for (const address of [http!, s3!, gs!])
      for (const [code, message] of [
        [403, /^$/],
        [404, /^$/],
        [410, /^$/],
        [400, /\.tables.*: .*HTTP 400/],
      ] as const) {
        status = code
        t.match(await problemOf(t, address), message, `${code} ${address}`)
      }
  },
)

t.test('an explanation without an end is not kept', async (t) => {
  let sent = 0
  const addresses = await serve(t, (_, response) => {
    response.writeHead(403)
    const send = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x'))) sent += 65_536
    }
    response.on('drain', send)
    send()
  })
  for (const address of Object.values(addresses)) t.match(await problemOf(t, address), /HTTP 403/, address)
  t.ok(sent < 64 * 1024 * 1024, `${sent} bytes`)
})

t.test('answers of a registry that are no manifest, and of its server of tokens that are no token', async (t) => {
  let manifest = ''
  let token: string | undefined
  const { oci } = await serve(t, ({ url, headers }, response) => {
    if (url?.startsWith('/token')) return response.end(token)
    if (token === undefined) return response.end(manifest)
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://me:secret@${headers.host}/token"` }).end()
  })
  for (manifest of ['', 'null', '[]', '{}', '{"layers":{}}'])
    t.match(await problemOf(t, oci!), /^oci:\S+ (is not JSON: |is no artefact: )/, manifest)
  for (token of ['', 'null', '[]', '{"token":7}', '{"token":""}'])
    t.match(await problemOf(t, oci!), /^http:\/\/127\.0\.0\.1:\d+\/token answers without a token$/, token)
  token = '"'.padEnd(2 * 1024 * 1024)
  t.match(await problemOf(t, oci!), /\/token is larger than 1048576 bytes$/)
  token = '{"token":"a\\nb"}'
  t.match(await problemOf(t, oci!), /the token or password has characters that no header can have$/)
})

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { createRandom } from '../../../src/tools/data/random.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { send, startProcess } from '../../support/process.ts'
import { askAnew } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
// Two processes do all that one does.
const counts = process.env.FULL ? ['1', '2'] : ['2']
const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })

t.test('the slowest requests of all processes are listed with their stages, and no values', async (t) => {
  for (const processes of counts) {
    const { port, stdout } = await startProcess(
      t,
      {
        MULTIGATE_MODELS: models,
        MULTIGATE_ADMIN: 'true',
        MULTIGATE_SLOW_REQUESTS: '5',
        MULTIGATE_PROCESSES: processes,
      },
      processes === '1' ? 'ready' : 'all processes are ready',
    )
    for (let i = 0; i < 12; i++) await send(port, '/predict', { payload })
    await send(port, '/predict', { payload: '{' })
    await until(async () => JSON.parse((await askAnew(port, '/debug/slow')).text).requests.length === 5)
    const { text } = await askAnew(port, '/debug/slow')
    const { requests } = JSON.parse(text)
    t.match(requests[0], {
      method: 'POST',
      url: '/predict',
      request_id: /./,
      ended: /^\d{4}-\d\d-\d\dT/,
      total_ms: Number,
    })
    const totals = requests.map(({ total_ms }: { total_ms: number }) => total_ms)
    t.same(
      totals,
      [...totals].sort((a, b) => b - a),
    )
    const { read_ms, queue_ms, compute_ms, write_ms, total_ms } = requests.find(({ status }: any) => status === 200)
    t.ok(Math.abs(read_ms + queue_ms + compute_ms + write_ms - total_ms) < 0.01)
    t.notMatch(text, /campaign|country|price/)
    t.notMatch(stdout(), /"msg":"request"/, 'they are not logged')
  }
})

t.test('bodies are listed only if a setting says so, and fields as the manifest says', async (t) => {
  const marked = await temporaryFolder(t)
  await writeTestBundle(marked)
  const manifest = join(marked, 'ads/1/manifest.json')
  const content = JSON.parse(readFileSync(manifest, 'utf8'))
  for (const field of content.features) {
    if (field.name === 'country') field.log = 'drop'
    if (field.name === 'campaign') field.log = 'hash'
  }
  writeFileSync(manifest, JSON.stringify(content))
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: marked,
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_SLOW_REQUESTS: '5',
    MULTIGATE_SLOW_BODIES: 'true',
  })
  t.equal((await send(port, '/predict', { payload })).status, 200)
  await until(async () => JSON.parse((await send(port, '/debug/slow')).text).requests.length === 1)
  const [{ body }] = JSON.parse((await send(port, '/debug/slow')).text).requests
  t.match(body, { context: { hour: 21 }, candidates: [{ campaign: /^[0-9a-f]{16}$/, price: 1.25 }] })
  t.notOk('country' in body.context)
})

t.test(
  'recorded requests of all processes: slow, failed with their codes, and the last; one with its body',
  async (t) => {
    for (const processes of counts) {
      const { port } = await startProcess(
        t,
        {
          MULTIGATE_MODELS: models,
          MULTIGATE_ADMIN: 'true',
          MULTIGATE_SLOW_REQUESTS: '3',
          MULTIGATE_RECENT_REQUESTS: '6',
          MULTIGATE_SLOW_BODIES: 'true',
          MULTIGATE_PROCESSES: processes,
        },
        processes === '1' ? 'ready' : 'all processes are ready',
      )
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      const post = async (id: string, body: string) => {
        const headers = { 'content-type': 'application/json', 'x-request-id': id, traceparent }
        await (await fetch(`http://127.0.0.1:${port}/predict`, { method: 'POST', body, headers })).text()
      }
      for (let i = 0; i < 8; i++) await post(`good-${i}`, payload)
      const wrong = JSON.stringify({
        context: { country: 'DE', hour: 21 },
        candidates: [{ campaign: 'c9', price: 'secret' }],
      })
      await post('bad', wrong)
      await send(port, '/models')
      const ask = async (path = '') => JSON.parse((await askAnew(port, `/debug/requests${path}`)).text)
      await until(async () => (await ask()).recent.some(({ request_id: id }: any) => id === 'bad'))
      const { slow, failed, recent, recorded } = await ask()
      t.same(recorded, { slow: 3, failed: 25, recent: 6, bodies: true })
      t.equal(slow.length, 3)
      t.equal(recent.length, 6)
      t.notMatch(JSON.stringify({ slow, failed, recent }), /"\/models"/, 'predictions alone are recorded')
      t.match(failed, [{ request_id: 'bad', status: 400, code: 'INVALID_REQUEST' }])
      t.same(failed[0].errors, [{ path: '/candidates/0/price', message: 'must be a number, not a string' }])
      t.notOk('detail' in failed[0], 'it quotes values')
      // Requests to several processes in the same millisecond have no order.
      const known = new Map<string, any>(recent.map((record: any) => [record.request_id, record]))
      t.match(known.get('bad'), { status: 400, url: '/predict', client: /^(?:::ffff:)?127\.0\.0\.1$/ })
      t.match(known.get('good-7'), { model: 'ads', trace_id: traceparent.slice(3, 35) })
      t.notMatch(JSON.stringify({ slow, failed, recent }), /"c9"|secret|"body"/, 'lists hold no values')
      t.match(await ask('/good-7'), { request_id: 'good-7', body: JSON.parse(payload) })
      t.match(await ask('/nobody'), { code: 'NOT_FOUND' })
    }
  },
)

/** The server of the next two tests. */
const { port } = await startProcess(t, {
  MULTIGATE_MODELS: models,
  MULTIGATE_ADMIN: 'true',
  MULTIGATE_SLOW_REQUESTS: '1',
})

t.test('names that a client made up are not recorded, on any protocol', async (t) => {
  const secret = 'erika@example.com <b>"~/\\'
  const [context, good] = [
    { country: 'DE', hour: 21 },
    { campaign: 'c9', price: 1.25 },
  ]
  const tensor = { shape: [1, 1], datatype: 'FP32', data: [1] }
  const price = { ...tensor, name: 'price' }
  const bodies: [path: string, body: object, paths: string[]][] = [
    ['/predict', { context, candidates: [good], [secret]: 1, 4915112345678: 1 }, ['/*']],
    ['/predict', { context: { ...context, [secret]: 1 }, candidates: [good] }, ['/context/*']],
    [
      '/predict',
      { context, candidates: [{ ...good, [secret]: 1 }, { price: '' }] },
      ['/candidates/0/*', '/candidates/1/price'],
    ],
    ['/predict', { context: { 4915112345678: 1, country: 7 }, candidates: [good] }, ['/context/*', '/context/country']],
    [
      '/predict',
      { context, candidates: { campaign: ['c9'], price: ['x'], [secret]: [1] } },
      ['/candidates/*', '/candidates/price/0'],
    ],
    ['/predict', { context, candidates: [good], options: { rank: { by: 'ctr', [secret]: 1 } } }, ['/options/rank/*']],
    ['/predict', { inputs: { [secret]: [[1]] } }, ['/inputs/*']],
    ['/v1/models/ads:predict', { instances: [{ ...context, ...good, [secret]: 1 }] }, ['/instances/0/*']],
    ['/v2/models/ads/infer', { inputs: [{ ...tensor, name: secret }] }, ['input *']],
    ['/v2/models/ads/infer', { inputs: [{ ...tensor, name: '\u0001'.repeat(200) }] }, ['input *']],
    ['/v2/models/ads/infer', { inputs: [price], outputs: [{ name: secret }] }, ['output *']],
    ['/v2/models/ads/infer', { inputs: [{ ...price, data: ['x'] }] }, ['input "price"']],
    ['/v2/models/ads/infer', { inputs: [{ ...price, shape: [-1] }] }, ['input */shape/0']],
  ]
  for (const [path, body] of bodies)
    t.equal((await send(port, path, { payload: JSON.stringify(body) })).status, 400, JSON.stringify(body))
  const ask = async () => JSON.parse((await send(port, '/debug/requests')).text)
  await until(async () => (await ask()).failed.length === bodies.length)
  const { slow, failed } = await ask()
  t.notMatch(JSON.stringify([slow, failed]), /erika|4915112345678|u0001/)
  const paths = failed.reverse().map((record: any) => record.errors.map(({ path }: any) => path))
  for (const [i, [, body, wanted]] of bodies.entries()) t.match(paths[i], wanted, JSON.stringify(body))
})

t.test('values of a request are not in what is recorded of its problems', async (t) => {
  const random = createRandom(20)
  const pick = <T>(items: readonly T[]): T => items[random.integer(items.length)]!
  const secret = 'erika 4915112345678'
  const number = 4915112345678
  const odd: unknown[] = [secret, number, -number - 0.5, [secret], [[number]], { [secret]: secret }, `"${secret}`, null]
  const row = { country: 'DE', hour: 21, campaign: 'c9', price: 1.25 }
  const { country, hour, ...candidate } = row
  const good: [path: string, body: object][] = [
    ['/predict', { context: { country, hour }, candidates: [candidate, candidate], tasks: ['ctr'], version: '1' }],
    ['/predict', { context: { country, hour }, candidates: { campaign: ['c9'], price: [1] }, options: { top: 1 } }],
    ['/predict', { inputs: { sparse: [[1, 2, 3]], dense: [[1]] } }],
    ['/v1/models/ads:predict', { instances: [row], signature_name: 'serving_default' }],
    ['/v1/models/ads:predict', { inputs: { country: ['DE'], price: [1] } }],
    ['/v2/models/ads/infer', { inputs: [{ name: 'price', shape: [1, 1], datatype: 'FP32', data: [1] }], id: 'x' }],
  ]
  /** With one value, or one name, replaced. */
  const spoil = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || random.uniform() < 0.2) return pick(odd)
    if (Array.isArray(value)) return value.with(random.integer(value.length), spoil(pick(value)))
    const name = pick(Object.keys(value))
    const { [name]: old, ...rest } = value as Record<string, unknown>
    return random.uniform() < 0.2 ? { ...rest, [secret]: old } : { ...value, [name]: spoil(old) }
  }
  const messages = new Set<string>()
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 20; i++) {
      const [path, body] = pick(good)
      const text = JSON.stringify(spoil(body))
      await send(port, path, { payload: i === 0 ? text.slice(0, -1) + secret : text })
    }
    const { failed } = JSON.parse((await send(port, '/debug/requests')).text)
    t.notMatch(JSON.stringify(failed.filter(({ code }: any) => code === 'INVALID_REQUEST')), /erika|4915112345678/)
    for (const { errors = [] } of failed) for (const { message } of errors) messages.add(message)
  }
  t.ok(messages.size > 20, `${messages.size} different messages`)
  for (const message of messages) t.match(message, /^(?:must|is|has|can't|belongs|ecpm)\b/)
})

t.test('with nothing but administration', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_ADMIN: 'true' })

  await t.test('nothing is recorded, and the answer says so', async (t) => {
    await send(port, '/predict', { payload: '{' })
    t.same(JSON.parse((await send(port, '/debug/requests')).text), {
      slow: [],
      failed: [],
      recent: [],
      recorded: { slow: 0, failed: 0, recent: 0, bodies: false },
    })
    t.equal((await send(port, '/debug/requests/x')).status, 404)
  })

  await t.test('profiles are what Chrome reads; one at a time', async (t) => {
    const post = (path: string) => send(port, path, { payload: '' })
    const both = await Promise.all(['/debug/profile?seconds=1', '/debug/heap-profile?seconds=1'].map(post))
    t.same(both.map(({ status }) => status).sort(), [200, 429])
    const cpu = JSON.parse((await post('/debug/profile?seconds=1')).text)
    t.match(cpu, { startTime: Number, endTime: Number })
    t.ok(cpu.nodes.length > 0)
    const heap = await post('/debug/heap-profile?seconds=1')
    t.match(JSON.parse(heap.text), { head: { callFrame: {}, children: [] } })
    t.equal((await post('/debug/profile?seconds=61')).status, 400)
    // Another can begin as soon as a client has left.
    let socket: Socket
    await until(async () => {
      socket = connect(port, '127.0.0.1')
      socket.write('POST /debug/profile?seconds=60 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n')
      await once(socket, 'connect')
      const { status } = await post('/debug/heap-profile?seconds=1')
      if (status !== 429) socket.destroy()
      return status === 429
    })
    socket!.destroy()
    await until(async () => (await post('/debug/heap-profile?seconds=1')).status === 200)
  })
})

t.test('without administration they are forbidden', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
  for (const path of ['slow', 'requests', 'requests/x']) t.equal((await send(port, `/debug/${path}`)).status, 403)
  t.equal((await send(port, '/debug/profile', { payload: '' })).status, 403)
})

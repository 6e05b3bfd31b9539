import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Tables } from '../../src/model/serving/tables/tables.ts'
import type { Entities } from '../../src/schemas/entities.ts'
import { createRandom, type Random } from '../../src/tools/data/random.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { randomCases, steadySeed } from '../support/cases.ts'
import { collectGarbage } from '../support/collect-garbage.ts'
import { importRows } from '../support/feature-table.ts'
import { startTestServer } from '../support/server.ts'

/*
 * Keys of all kinds in every form of every protocol: each request is answered by probabilities or by its problems, and
 * those of known keys by the same probabilities in all of them.
 */

const names = ['ads', 'refusing', 'leaving'] as const
const known = ['ad-0', 'ad-1', '7', '-3', '0', '__proto__', 'constructor', 'é', '\u{1f600}', 'k'.repeat(300), 'a\0b']

const models = await temporaryFolder(t)
const entities = (unknown: 'defaults' | 'refuse' | 'leave_out'): Entities => ({
  ad: { key: 'ad_id', side: 'candidate', table: 'ads', features: ['campaign', 'price'], unknown },
  user: { key: 'user_id', side: 'context', table: 'users', features: ['country', 'hour'], unknown: 'defaults' },
})
for (const [i, unknown] of (['defaults', 'refuse', 'leave_out'] as const).entries())
  await writeTestBundle(models, { name: names[i]!, manifest: { entities: entities(unknown) } })
const rowsOf = (values: (i: number) => object) => known.map((id, i) => ({ id, ...values(i) }))
await importRows(
  models,
  'ads',
  rowsOf((i) => ({ campaign: `c${i}`, price: i / 4 })),
)
await importRows(
  models,
  'users',
  rowsOf((i) => ({ country: ['DE', 'FR'][i % 2], hour: i })),
)
const tables = new Tables(models)
const { fastify } = await startTestServer(t, { models, tables, maxBodyBytes: 10_000_000 })

/** JSON values that are no keys, and strings that no table has. */
const odd = [
  ...['', ' ad-0', 'AD-0', 'ad-0\0', '\0', '\ud800', 'ad-0\udc00', 'toString', 'x'.repeat(200_000), 'é\u0301', '07'],
  ...[7, -3, 0, -0, 2 ** 53 - 1, 2 ** 53, 1e21, 0.5, 1e-9, true, null, {}, [], ['ad-0'], { ad_id: 'ad-0' }],
]

const pick = <T>(all: readonly T[], random: Random): T => all[random.integer(all.length)]!

function drawKeys(random: Random): unknown[] {
  const count = 1 + random.integer(6)
  const oddness = pick([0, 0.2, 1], random)
  const keys = Array.from({ length: count }, () => pick(random.uniform() < oddness ? odd : known, random))
  return random.integer(3) === 0 ? keys.map(() => keys[0]) : keys
}

interface Sent {
  url: string
  payload: object
  /** Probabilities of a click, in the order of candidates. */
  clicks(answer: any): unknown[]
}

const clicksOfRows = (rows: ({ ctr: number } | null)[]) => rows.map((row) => row?.ctr ?? null)
const tensor = (name: string, data: unknown[]) => ({ name, datatype: 'BYTES', shape: [data.length], data })

/** The same request in each form. */
const forms: Record<string, (model: string, ads: unknown[], user: unknown) => Sent> = {
  keys: (model, ads, user) => predict(model, { context: { user_id: user }, candidates: ads }),
  rows: (model, ads, user) =>
    predict(model, { context: { user_id: user }, candidates: ads.map((ad_id) => ({ ad_id })) }),
  'users in rows': (model, ads, user) => predict(model, { candidates: ads.map((ad_id) => ({ ad_id, user_id: user })) }),
  columns: (model, ads, user) => ({
    ...predict(model, { context: { user_id: user }, candidates: { ad_id: ads } }),
    clicks: ({ predictions }) => predictions.ctr,
  }),
  // More than is read by the main thread.
  large: (model, ads, user) => {
    const id = 'x'.repeat(400_000)
    return predict(model, { context: { user_id: user }, candidates: ads.map((ad_id) => ({ ad_id, id })) })
  },
  infer: (model, ads, user) => ({
    url: `/v2/models/${model}/infer`,
    payload: { inputs: [tensor('ad_id', ads), tensor('user_id', [user])] },
    clicks: ({ outputs }) => outputs.find(({ name }: { name: string }) => name === 'ctr').data,
  }),
  instances: (model, ads, user) => ({
    url: `/v1/models/${model}:predict`,
    payload: { context: { user_id: user }, instances: ads },
    clicks: ({ predictions }) => clicksOfRows(predictions),
  }),
  inputs: (model, ads, user) => ({
    url: `/v1/models/${model}:predict`,
    payload: { context: { user_id: user }, inputs: { ad_id: ads } },
    clicks: ({ outputs }) => outputs.ctr,
  }),
}

function predict(model: string, body: object): Sent {
  return {
    url: '/predict',
    payload: { model, ...body },
    clicks: ({ predictions }) => clicksOfRows(predictions),
  }
}

async function send({ url, payload, clicks }: Sent) {
  const answer = await fastify.inject({ method: 'POST', url, payload })
  const body = answer.json()
  return { status: answer.statusCode, body, clicks: answer.statusCode === 200 ? clicks(body) : undefined }
}

t.test('keys of all kinds are answered, or refused as what they are', async (t) => {
  const statuses = { 200: 0, 400: 0 }
  for (let i = 0; i < randomCases(600, 100); i++) {
    const random = createRandom(steadySeed + i)
    const model = pick(names, random)
    const ads = drawKeys(random)
    const user = pick(random.integer(3) === 0 ? odd : known, random)
    const areKnown = [...ads, user].every((key) => known.includes(key as string))
    const wanted = areKnown ? (await send(forms.keys!(model, ads, user))).clicks : undefined
    for (const [name, form] of Object.entries(forms)) {
      if (name === 'large' && i % 10 !== 0) continue
      const { status, body, clicks } = await send(form(model, ads, user))
      const place = `${name} of ${model}, case ${i}: ${JSON.stringify(body).slice(0, 300)}`
      if (status !== 200 && status !== 400) t.fail(`${status} ${place}`)
      else statuses[status]++
      if (status === 200 && clicks?.length !== ads.length) t.fail(`other rows: ${place}`)
      if (clicks?.some((click) => click !== null && !(Number(click) > 0 && Number(click) < 1))) t.fail(`odd: ${place}`)
      if (wanted?.some((click, row) => !(Math.abs(Number(clicks?.[row]) - Number(click)) < 1e-6)))
        t.fail(`not ${wanted}: ${place}`)
    }
  }
  t.ok(statuses[200] > 100 && statuses[400] > 100, JSON.stringify(statuses))
})

t.test('binary keys that are no UTF-8, or whose lengths lie, are refused', async (t) => {
  const lengthOf = (bytes: number) => Buffer.from(Uint32Array.of(bytes).buffer)
  const infer = async (keys: Buffer, count: number) => {
    const inputs = [
      { ...tensor('ad_id', []), shape: [count], data: undefined, parameters: { binary_data_size: keys.length } },
      tensor('user_id', ['7']),
    ]
    const json = Buffer.from(JSON.stringify({ inputs }))
    const { statusCode, body } = await fastify.inject({
      ...{ method: 'POST', url: '/v2/models/ads/infer', payload: Buffer.concat([json, keys]) },
      headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(json.length) },
    })
    return { statusCode, body }
  }
  const good = Buffer.concat([lengthOf(4), Buffer.from('ad-0')])
  t.equal((await infer(good, 1)).statusCode, 200)
  for (const [keys, count] of [
    [Buffer.concat([lengthOf(2), Buffer.from([0xff, 0xfe])]), 1],
    [Buffer.concat([lengthOf(3), Buffer.from([0xed, 0xa0, 0x80])]), 1],
    [Buffer.concat([lengthOf(5), Buffer.from('ad-0')]), 1],
    [Buffer.concat([lengthOf(2 ** 32 - 1), Buffer.from('ad-0')]), 1],
    [good, 2],
    [Buffer.concat([good, good]), 1],
    [good.subarray(0, 3), 1],
    [Buffer.alloc(0), 1],
  ] as const) {
    const { statusCode, body } = await infer(keys, count)
    t.equal(statusCode, 400, `${keys.toString('hex')} ${body}`)
  }
})

t.test('unknown keys, however many and however long, take no memory', async (t) => {
  const ask = async (round: number, count: number, length: number) => {
    const candidates = Array.from({ length: count }, (_, i) => `gone-${round}-${i}`.padEnd(length, 'x'))
    const payload = { model: 'leaving', context: { user_id: '7' }, candidates }
    const { statusCode } = await fastify.inject({ method: 'POST', url: '/predict', payload })
    if (statusCode !== 200) throw new Error(`${statusCode}`)
  }
  const grown = async (rounds: number, count: number, length: number) => {
    await ask(-1, count, length)
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    for (let round = 0; round < rounds; round++) await ask(round, count, length)
    collectGarbage()
    return process.memoryUsage().heapUsed - before
  }
  const many = await grown(480, 250, 20)
  t.ok(many < 2 ** 20, `120,000 keys: ${many} bytes`)
  const long = await grown(30, 1, 200_000)
  t.ok(long < 2 ** 20, `30 keys of 200,000 letters: ${long} bytes`)
})

t.test('a value of a damaged table fails the requests that need it, and no others', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, { manifest: { entities: { ad: entities('refuse').ad! } } })
  await importRows(
    models,
    'ads',
    [0, 1].map((i) => ({ id: `ad-${i}`, campaign: `c${i}`, price: i })),
  )
  const folder = join(models, '.tables/ads/1')
  const description = JSON.parse(await readFile(join(folder, 'table.json'), 'utf8'))
  const { row_bytes, columns } = description
  const rows = await readFile(join(folder, 'rows.bin'))
  rows[row_bytes + columns.find(({ name }: { name: string }) => name === 'campaign').place] = 200
  await writeFile(join(folder, 'rows.bin'), rows)
  // As if it had been imported so.
  description.files['rows.bin'].sha256 = createHash('sha256').update(rows).digest('hex')
  await writeFile(join(folder, 'table.json'), JSON.stringify(description))
  const { predict } = await startTestServer(t, { models, tables: new Tables(models), maxBodyBytes: 10_000_000 })
  const context = { country: 'DE', hour: 3 }
  for (const id of ['x', 'x'.repeat(1_000_000)]) {
    t.match(await predict({ context, candidates: [{ ad_id: 'ad-1', id }] }), {
      status: 500,
      body: { code: 'MODEL_FAILED', detail: /table is damaged: its column "campaign" has a code of no string/ },
    })
    t.equal((await predict({ context, candidates: [{ ad_id: 'ad-0', id }] })).status, 200)
  }
})

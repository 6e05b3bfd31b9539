// Compiled plans as users meet them: through HTTP, on a model that comes with the project.
import { createHash } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { withoutBfloat16 } from '../support/onednn.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const shipped = join(import.meta.dirname, '../../../models/ads-funnel')
const cache = await temporaryFolder(t)
// Whatever they cost here, what is known is taken from before, and what is not has its context computed once.
const costs = {
  full: { a: 10, b: 10 },
  shared_context: { a: 5, b: 5 },
  candidate_encoder: { a: 1, b: 1 },
  cached: { a: 1, b: 1 },
}

async function serve(
  t: Test,
  change: (manifest: Manifest, folder: string) => Promise<void> = async () => undefined,
): Promise<TestServer & { warnings: string[] }> {
  const models = await temporaryFolder(t)
  await cp(shipped, join(models, 'ads-funnel'), { recursive: true })
  const file = join(models, 'ads-funnel/1/manifest.json')
  const manifest: Manifest = JSON.parse(await readFile(file, 'utf8'))
  await change(manifest, join(models, 'ads-funnel/1'))
  await writeFile(file, JSON.stringify(manifest))
  const warnings: string[] = []
  const compiler = {
    cache,
    candidateBytes: 1 << 20,
    now: Date.now,
    onWarning: (message: string) => warnings.push(message),
    costs,
  }
  return { ...(await startTestServer(t, { models, limits: { compiler } })), warnings }
}

const read = async ({ fastify }: TestServer, url: string) => (await fastify.inject({ method: 'GET', url })).body
const plan = async (server: TestServer) => JSON.parse(await read(server, '/models/ads-funnel')).plan
const metric = async (server: TestServer, name: string, labels = '') => {
  const line = `^${name}\\{model="ads-funnel",version="1"${labels}\\} (\\S+)$`
  return Number(new RegExp(line, 'm').exec(await read(server, '/metrics'))?.[1])
}

const context = (hour: number) => ({ country: 'DE', hour, segment: 's17' })
const candidates = ['c1', 'c2', 'c3', 'c1'].map((campaign, i) => ({ campaign, price: [1.25, 0.4, 3, 1.25][i]! }))
const ctrs = (body: { predictions: { ctr: number }[] }) => body.predictions.map(({ ctr }) => ctr)

t.test('context once a request, candidates known from before: the same answers, and counted', async (t) => {
  const models = await temporaryFolder(t)
  await cp(shipped, join(models, 'ads-funnel'), { recursive: true })
  const saved = await startTestServer(t, { models })
  const server = await serve(t)
  t.same(server.warnings, [])
  t.match(await plan(server), { precision: 'float32', compiled: true, split_by_side: true, notes: [] })
  // Warming up and golden rows are no traffic.
  for (const name of ['entries', 'hits_total', 'misses_total'])
    t.equal(await metric(server, `multigate_candidate_cache_${name}`), 0, name)
  for (const way of ['full', 'shared_context', 'cached'])
    t.equal(await metric(server, 'multigate_plan_rows_total', `,plan="${way}"`), 0, way)
  for (const hour of [1, 2, 3]) {
    const body = { model: 'ads-funnel', context: context(hour), candidates }
    const [answer, expected] = [await server.predict(body), await saved.predict(body)]
    t.equal(answer.status, 200)
    ctrs(answer.body).forEach((ctr, i) => {
      t.ok(Math.abs(ctr - ctrs(expected.body)[i]!) <= 1e-5)
    })
    t.equal(ctrs(answer.body)[0], ctrs(answer.body)[3], 'the same candidate has the same probability')
  }
  // A context that differs from row to row.
  const byRow = { model: 'ads-funnel', candidates: candidates.map((row, i) => ({ ...context(i), ...row })) }
  const mixed = ctrs((await saved.predict(byRow)).body)
  ctrs((await server.predict(byRow)).body).forEach((ctr, i) => {
    t.ok(Math.abs(ctr - mixed[i]!) <= 1e-5)
  })
  // Asked twice in the first request, once more in each later one.
  t.equal(await metric(server, 'multigate_candidate_cache_entries'), 3)
  t.ok((await metric(server, 'multigate_candidate_cache_hits_total')) >= 4)
  t.ok((await metric(server, 'multigate_candidate_cache_bytes')) > 0)
  for (const way of ['full', 'shared_context', 'cached'])
    t.ok((await metric(server, 'multigate_plan_rows_total', `,plan="${way}"`)) > 0, way)
  t.equal(await metric(server, 'multigate_precision_fallback'), 0)
  // Gates are no probabilities: they come from the graph as it was saved.
  const gates = { model: 'ads-funnel', context: context(1), candidates, options: { gates: true } }
  t.match((await server.predict(gates)).body.predictions[0].gates, { ctr: [Number] })
  t.ok((await metric(server, 'multigate_plan_rows_total', ',plan="exported"')) > 0)
})

t.test('int8, asked for and good enough, is served and says how good it is', async (t) => {
  const server = await serve(t, async (manifest) => {
    manifest.precision = 'int8'
  })
  t.same(server.warnings, [])
  const { int8_check, ...rest } = await plan(server)
  t.match(rest, { precision: 'int8', compiled: true, split_by_side: true })
  t.match(rest.notes, [/^the AUC of ctr, cvr was not compared: /])
  t.match(int8_check, { passed: true, rows: 2048, reasons: [], tasks: [{ task: 'ctr' }, { task: 'cvr' }] })
  t.ok(int8_check.tasks[0].logit_p99 > 0 && int8_check.tasks[0].logit_p99 <= 0.05)
  t.match(JSON.parse(await read(server, '/models')).models[0].versions, [{ state: 'ready', precision: 'int8' }])
  t.match(await read(server, '/metrics'), /multigate_model_info\{.*precision="int8"/)
  const float32 = await serve(t)
  const body = { model: 'ads-funnel', context: context(9), candidates }
  const [answer, expected] = [await server.predict(body), await float32.predict(body)]
  const logit = (p: number) => Math.log(p / (1 - p))
  ctrs(answer.body).forEach((ctr, i) => {
    const apart = Math.abs(logit(ctr) - logit(ctrs(expected.body)[i]!))
    t.ok(apart > 0 && apart < 0.15, `${apart}`)
  })
  // Known from the second request on: a row's answer depends on that, and on its batch-mates, only by the rounding of
  // its last layers.
  const same = (actual: number[], expected: number[]) =>
    actual.forEach((ctr, i) => {
      t.ok(Math.abs(ctr / expected[i]! - 1) < 1e-5)
    })
  for (let i = 0; i < 3; i++) same(ctrs((await server.predict(body)).body), ctrs(answer.body))
  same(ctrs((await server.predict({ ...body, candidates: candidates.slice(1, 2) })).body), ctrs(answer.body).slice(1))
})

t.test('bfloat16 is served where the processor is made for it, and says what computes it', async (t) => {
  const without = withoutBfloat16()
  const server = await serve(t, async (manifest) => {
    manifest.precision = 'bfloat16'
    manifest.keep_precision = true
  })
  const { bfloat16_check: check, products, ...rest } = await plan(server)
  const float32 = await serve(t)
  const body = { model: 'ads-funnel', context: context(9), candidates }
  const expected = ctrs((await float32.predict(body)).body)
  // Looked up from the second request on.
  for (let i = 0; i < 3; i++)
    ctrs((await server.predict(body)).body).forEach((ctr, row) => {
      t.ok(Math.abs(ctr - expected[row]!) < 0.01, `${ctr} and ${expected[row]}`)
    })
  if (without !== undefined) {
    t.match(rest, { precision: 'float32', compiled: true, notes: [/^float32 is served, not bfloat16: /] })
    t.ok(rest.notes[0].endsWith(without), rest.notes[0])
    t.equal(await metric(server, 'multigate_precision_fallback'), 1)
    return
  }
  t.same(server.warnings, [])
  t.match(rest, { precision: 'bfloat16', compiled: true })
  t.match(products, /^oneDNN 3\.\d+\.\d+, (AMX|AVX512-BF16)$/)
  t.match(check, { passed: true, rows: 2048, reasons: [] })
  t.match(await read(server, '/metrics'), /multigate_model_info\{.*precision="bfloat16"/)
  t.equal(await metric(server, 'multigate_precision_fallback'), 0)
})

t.test('precision auto serves what is fastest here, and says what that is', async (t) => {
  const server = await serve(t, async (manifest) => {
    manifest.precision = 'auto'
  })
  const { precision, notes, int8_check: int8, bfloat16_check: bfloat16 } = await plan(server)
  t.ok(notes[0].startsWith(`precision auto: ${precision} is served; `), notes[0])
  t.same(server.warnings, [])
  t.equal(await metric(server, 'multigate_precision_fallback'), 0)
  t.match(
    { float32: undefined, int8, bfloat16 }[precision as string],
    precision === 'float32' ? undefined : { passed: true },
  )
  t.equal((await server.predict({ model: 'ads-funnel', context: context(1), candidates })).status, 200)
})

t.test('without the library, bfloat16 is float32, and says why', async (t) => {
  const { MULTIGATE_ONEDNN: given } = process.env
  process.env.MULTIGATE_ONEDNN = 'off'
  t.teardown(() => {
    if (given === undefined) delete process.env.MULTIGATE_ONEDNN
    else process.env.MULTIGATE_ONEDNN = given
  })
  const server = await serve(t, async (manifest) => {
    manifest.precision = 'bfloat16'
  })
  const { notes, ...rest } = await plan(server)
  t.match(rest, { precision: 'float32', compiled: true })
  const reason = "float32 is served, not bfloat16: bfloat16 can't be evaluated: MULTIGATE_ONEDNN is off"
  t.same(notes, [reason])
  t.same(server.warnings, [`ads-funnel/1: ${reason}`])
  t.equal((await server.predict({ model: 'ads-funnel', context: context(1), candidates })).status, 200)
})

t.test('int8 that is too far off is not: float32 is served, and everybody is told', async (t) => {
  const server = await serve(t, async (manifest, folder) => {
    manifest.precision = 'int8'
    // Scales from prices that are all nothing: real ones are cut off.
    const { file, rows } = manifest.quantization!
    const path = join(folder, file)
    const bytes = await readFile(path)
    const dense = manifest.features.filter(({ kind }) => kind === 'numeric').length
    const sparse = manifest.features.length - dense + manifest.crossed!.length
    for (let i = 0; i < (rows / 2) * dense; i++) bytes.writeFloatLE(1e-3, (rows * sparse + i) * 4)
    await writeFile(path, bytes)
    manifest.files[file] = createHash('sha256').update(bytes).digest('hex')
  })
  const { notes, ...rest } = await plan(server)
  t.match(rest, { precision: 'float32', compiled: true, int8_check: { passed: false } })
  t.match(notes, [/^float32 is served, not int8: ctr: \w+ is \S+, more than /])
  t.match(server.warnings, [/^ads-funnel\/1: float32 is served, not int8: ctr: /])
  t.equal(await metric(server, 'multigate_precision_fallback'), 1)
  t.match(JSON.parse(await read(server, '/models')).models[0].versions, [{ state: 'ready', precision: 'float32' }])
  t.equal((await server.predict({ model: 'ads-funnel', context: context(1), candidates })).status, 200)
})

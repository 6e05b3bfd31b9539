// `multigate warm` as users meet it: the command line, then a server that has the candidates from its first request on.
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { parquetOf } from '../support/parquet.ts'
import { startProcess } from '../support/process.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const shipped = join(import.meta.dirname, '../../../models/ads-funnel')
const cache = await temporaryFolder(t)
// Whatever they cost here, cached candidates pay.
const costs = {
  full: { a: 10, b: 10 },
  shared_context: { a: 5, b: 5 },
  candidate_encoder: { a: 1, b: 1 },
  cached: { a: 1, b: 1 },
}

interface Ad {
  campaign: string
  price: number
  category?: string
}

const ad = (i: number): Ad => ({ campaign: `c${i % 300}`, price: 0.25 * (1 + (i % 7)), category: `k${i % 12}` })
const ads = Array.from({ length: 600 }, (_, i) => ad(i))
const unknown = Array.from({ length: 20 }, (_, i) => ({ ...ad(i), price: 99 + i }))

function csvOf(rows: readonly Ad[]): string {
  return [
    'note,campaign,price,category',
    ...rows.map(({ campaign, price, category }) => `x,${campaign},${price},${category}`),
  ].join('\n')
}

/** A folder of models with ads-funnel, of this precision. */
async function modelsOf(t: Test, precision: Manifest['precision'] = 'float32'): Promise<string> {
  const models = await temporaryFolder(t)
  await cp(shipped, join(models, 'ads-funnel'), { recursive: true })
  const file = join(models, 'ads-funnel/1/manifest.json')
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), precision }))
  return models
}

async function serve(t: Test, models: string, plans: string): Promise<TestServer & { warnings: string[] }> {
  const warnings: string[] = []
  const onWarning = (message: string) => warnings.push(message)
  const compiler = { cache: plans, candidateBytes: 1 << 22, now: Date.now, onWarning, costs }
  return { ...(await startTestServer(t, { models, limits: { compiler } })), warnings }
}

const read = async ({ fastify }: TestServer, url: string) => (await fastify.inject({ method: 'GET', url })).body
const details = async (server: TestServer) => JSON.parse(await read(server, '/models/ads-funnel'))
const metricIn = (text: string, name: string, labels = '') =>
  Number(new RegExp(`^${name}\\{model="ads-funnel",version="1"${labels}\\} (\\S+)$`, 'm').exec(text)?.[1])
const metric = async (server: TestServer, name: string, labels = '') =>
  metricIn(await read(server, '/metrics'), name, labels)

const body = (candidates: readonly Ad[], hour = 9) => ({
  model: 'ads-funnel',
  context: { country: 'DE', hour, segment: 's17' },
  candidates,
})
const predictions = ({ body }: { body: { predictions: Record<string, number>[] } }) =>
  body.predictions.map(({ ctr, cvr }) => [ctr, cvr])

/** Runs `multigate warm` on ads; returns its JSON. */
async function warm(models: string, plans: string, ...args: string[]) {
  const result = await runCli(['warm', join(models, 'ads-funnel/1'), '--cache', plans, '--json', ...args])
  if (result.code !== 0) throw new Error(result.stderr)
  return JSON.parse(result.stdout)
}

t.test('the first request hits, and answers are bit for bit those without a catalogue', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'ads.csv'), csvOf([...ads, ...ads.slice(0, 50)]))
  const columns = (['campaign', 'price', 'category'] as const).map((name) => ({
    name,
    data: ads.map((row) => row[name]!),
  }))
  await writeFile(join(folder, 'ads.parquet'), parquetOf(columns, 100))
  for (const precision of ['float32', 'int8'] as const) {
    const models = await modelsOf(t, precision)
    const plain = await serve(t, models, cache)
    t.equal((await details(plain)).plan.precision, precision)
    t.equal((await details(plain)).plan.catalogue, undefined)
    t.equal((await details(plain)).memory.catalogue, undefined)
    t.notMatch(await read(plain, '/metrics'), /multigate_catalogue_\w+\{/)
    for (const file of ['ads.csv', 'ads.parquet']) {
      const report = await warm(models, cache, '--catalogue', join(folder, file), '--precision', 'float32')
      const repeated = file === 'ads.csv' ? 50 : 0
      t.match(report, { target: 'ads-funnel/1', plan_precision: precision, precision: 'float32', repeated })
      t.equal(report.rows, report.read - report.repeated)
      t.match(report.notes[0], /which have their defaults: advertiser, format, quality, age_days$/)
      const server = await serve(t, models, cache)
      t.same(server.warnings, [])
      const before = Date.now()
      const { plan, memory } = await details(server)
      t.match(plan.catalogue, { rows: report.rows, precision: 'float32', bytes: report.bytes })
      t.ok(Math.abs(before - Date.parse(plan.catalogue.made_at)) < 600_000)
      t.equal(memory.catalogue, report.bytes)
      t.equal(await metric(server, 'multigate_resident_bytes', ',part="catalogue"'), report.bytes)
      t.equal(await metric(server, 'multigate_catalogue_rows'), report.rows)
      t.equal(await metric(server, 'multigate_catalogue_hits_total'), 0, 'warming up is no traffic')

      const first = await server.predict(body(ads.slice(0, 50)))
      t.equal(await metric(server, 'multigate_catalogue_hits_total'), 50)
      t.equal(await metric(server, 'multigate_plan_rows_total', ',plan="cached"'), 50)
      t.equal(await metric(server, 'multigate_candidate_cache_entries'), 50)
      await plain.predict(body(ads.slice(0, 50)))
      t.same(predictions(first), predictions(await plain.predict(body(ads.slice(0, 50)))))
      t.same(predictions(await server.predict(body(ads.slice(0, 50)))), predictions(first))
      t.equal(await metric(server, 'multigate_catalogue_hits_total'), 50, 'from then on they are cached')

      const mixed = [...unknown, ...ads.slice(100, 120)]
      for (let i = 0; i < 2; i++) for (const one of [server, plain]) await one.predict(body(mixed, 17))
      t.same(predictions(await server.predict(body(mixed, 17))), predictions(await plain.predict(body(mixed, 17))))
      t.equal(await metric(server, 'multigate_catalogue_hits_total'), 70)
    }
  }
})

t.test('a server process of its own, whose workers take the first request from the catalogue', async (t) => {
  const folder = await temporaryFolder(t)
  const plans = join(folder, 'plans')
  const models = await modelsOf(t)
  await writeFile(join(folder, 'ads.csv'), csvOf(ads))
  const report = await warm(models, plans, '--catalogue', join(folder, 'ads.csv'))
  // The costs that the command measured, as of a machine where cached candidates pay.
  const file = join(report.folder, 'costs-float32.json')
  const joined = { a: 1, b: 1 }
  const given = Object.fromEntries(Object.entries(costs).map(([name, cost]) => [name, { ...cost, joined }]))
  const kept = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...kept, costs: { ...given, lookUp: 0.01 } }))
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_CACHE: plans, MULTIGATE_WORKERS: '2' })
  const base = `http://127.0.0.1:${port}`
  // More rows than the main thread computes.
  const asked = JSON.stringify(body(ads.slice(0, 300)))
  const answer = await fetch(`${base}/predict`, {
    method: 'POST',
    body: asked,
    headers: { 'content-type': 'application/json' },
  })
  t.equal(answer.status, 200)
  const text = await (await fetch(`${base}/metrics`)).text()
  t.equal(metricIn(text, 'multigate_catalogue_hits_total'), 300)
  t.equal(metricIn(text, 'multigate_plan_rows_total', ',plan="cached"'), 300)
  t.equal(metricIn(text, 'multigate_catalogue_rows'), report.rows)
})

t.test('a catalogue that can not be used is left out, and everybody is told', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'ads.csv'), csvOf(ads))
  const models = await modelsOf(t)
  const plain = await serve(t, models, join(folder, 'plans'))
  const expected = predictions(await plain.predict(body(ads.slice(0, 30))))
  const { folder: plan } = await warm(models, join(folder, 'plans'), '--catalogue', join(folder, 'ads.csv'))
  const [files] = (await readdir(plan)).filter((name) => /^catalogue-float32\.\w{8}$/.test(name))
  const cases: [RegExp, () => Promise<unknown>][] = [
    [/rows\.bin has 100 bytes, not \d+/, () => truncate(join(plan, files!, 'rows.bin'), 100)],
    [/(rows\.bin|catalogue\.onnx|index\.bin) is missing/, () => rm(join(plan, files!), { recursive: true })],
    [/catalogue-float32\.json is damaged/, () => truncate(join(plan, 'catalogue-float32.json'), 20)],
    [/catalogue-float32\.json is damaged/, () => truncate(join(plan, 'catalogue-float32.json'), 0)],
  ]
  for (const [reason, damage] of cases) {
    await damage()
    const server = await serve(t, models, join(folder, 'plans'))
    t.match(server.warnings, [reason])
    t.match(server.warnings, [/^ads-funnel\/1: the catalogue is not used: /])
    const { plan } = await details(server)
    t.match(plan.notes, [/^the catalogue is not used: /])
    t.equal(plan.catalogue, undefined)
    const answers = predictions(await server.predict(body(ads.slice(0, 30))))
    answers.forEach((row, i) => {
      for (const [task, value] of row.entries()) t.ok(Math.abs(value! - expected[i]![task]!) < 1e-6)
    })
  }
  // The command replaces what is damaged, but has nothing to update.
  const update = [
    'warm',
    join(models, 'ads-funnel'),
    '--cache',
    join(folder, 'plans'),
    '--update',
    join(folder, 'ads.csv'),
  ]
  t.match(await runCli(update), {
    code: 1,
    stderr: /the catalogue of ads-funnel\/1 is unusable: .* damaged; write all/,
  })
  await warm(models, join(folder, 'plans'), '--catalogue', join(folder, 'ads.csv'))
  t.same((await serve(t, models, join(folder, 'plans'))).warnings, [])
})

t.test('narrow rows pass the check of int8, or float32 is written and the reason told', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'ads.csv'), csvOf(ads))
  const models = await modelsOf(t)
  const plans = join(folder, 'plans')
  const file = join(folder, 'ads.csv')
  const server = await serve(t, models, plans)
  const expected = predictions(await server.predict(body(ads.slice(0, 60))))
  const logit = (p: number) => Math.log(p / (1 - p))
  const sizes: number[] = []
  for (const precision of ['float32', 'bfloat16', 'int8']) {
    const report = await warm(models, plans, '--catalogue', file, '--precision', precision)
    t.equal(report.precision, precision)
    if (precision !== 'float32') t.match(report.verdicts[precision], { passed: true, rows: 2048, reasons: [] })
    sizes.push(report.bytes)
    const served = await serve(t, models, plans)
    const answers = predictions(await served.predict(body(ads.slice(0, 60))))
    t.equal(await metric(served, 'multigate_catalogue_hits_total'), 60)
    const apart = answers.flatMap((row, i) => row.map((p, task) => Math.abs(logit(p!) - logit(expected[i]![task]!))))
    const most = Math.max(...apart)
    t.ok(precision === 'float32' ? most < 1e-4 : most > 1e-4 && most < 0.15, `${precision}: ${most}`)
  }
  t.ok(sizes[0]! > sizes[1]! && sizes[1]! > sizes[2]!)
  const auto = await warm(models, plans, '--catalogue', file)
  t.ok(['bfloat16', 'int8'].includes(auto.precision))
  t.match(await runCli(['warm', join(models, 'ads-funnel'), '--cache', plans, '--catalogue', file]), {
    code: 0,
    stdout:
      /^ads-funnel\/1: 600 candidates as \w+, [\d.]+ KiB, beside the plan in .*; took .* s\nread 600, of which 0 were known; each server process reads an index of 16\.0 KiB$/m,
  })
  // A version without quantization rows is judged by its candidates.
  const root = await temporaryFolder(t)
  await writeTestBundle(root)
  const rows = (count: number) =>
    ['campaign,price', ...Array.from({ length: count }, (_, i) => `x${i},${i / 100}`)].join('\n')
  await writeFile(join(folder, 'many.csv'), rows(900))
  await writeFile(join(folder, 'few.csv'), rows(20))
  const judged = async (name: string, ...args: string[]) =>
    JSON.parse(
      (
        await runCli([
          'warm',
          join(root, 'ads'),
          '--cache',
          plans,
          '--json',
          '--catalogue',
          join(folder, name),
          ...args,
        ])
      ).stdout,
    )
  const many = await judged('many.csv', '--precision', 'bfloat16')
  t.match(many, { precision: 'bfloat16', verdicts: { bfloat16: { passed: true, tasks: [{ auc_loss: null }, {}] } } })
  const few = await judged('few.csv', '--precision', 'int8')
  t.match(few, { precision: 'float32', notes: [/^float32 is stored, not int8: at least 100 different rows/] })
  t.match(await judged('few.csv'), { precision: 'float32', notes: [] })

  // Numbers whose weights are so large that a small change of them shows.
  const steep = await temporaryFolder(t)
  await writeTestBundle(steep, { numberScale: 300, manifest: { golden: undefined as never } })
  const far = await runCli([
    'warm',
    join(steep, 'ads'),
    '--cache',
    plans,
    '--json',
    '--precision',
    'int8',
    '--catalogue',
    join(folder, 'many.csv'),
  ])
  t.match(JSON.parse(far.stdout), {
    precision: 'float32',
    verdicts: { int8: { passed: false } },
    notes: [/^float32 is stored, not int8: \w+: \w+ is \S+, more than /],
  })
})

t.test('--update adds candidates to those that there are', async (t) => {
  const folder = await temporaryFolder(t)
  const plans = join(folder, 'plans')
  const models = await modelsOf(t)
  await writeFile(join(folder, 'ads.csv'), csvOf(ads))
  await writeFile(join(folder, 'changed.csv'), csvOf([...unknown, ...ads.slice(0, 5)]))
  const update = ['--update', join(folder, 'changed.csv')]
  t.match(await runCli(['warm', join(models, 'ads-funnel/1'), '--cache', plans, ...update]), {
    code: 1,
    stderr: /^there is no catalogue of ads-funnel\/1 to update; write all candidates with --catalogue$/m,
  })
  const first = await warm(models, plans, '--catalogue', join(folder, 'ads.csv'), '--precision', 'bfloat16')
  const running = await serve(t, models, plans)
  const second = await warm(models, plans, ...update)
  t.match(second, { read: 25, repeated: 5, precision: 'bfloat16', rows: first.rows + 20 })
  // The server that has the former one goes on with it, until it loads the version again.
  await running.predict(body([...unknown, ...ads.slice(0, 40)]))
  t.equal(await metric(running, 'multigate_catalogue_hits_total'), 40)
  const restarted = await serve(t, models, plans)
  await restarted.predict(body([...unknown, ...ads.slice(0, 40)]))
  t.equal(await metric(restarted, 'multigate_catalogue_hits_total'), 60)
  t.equal((await readdir(first.folder)).filter((name) => /^catalogue-float32\./.test(name)).length, 2)
})

t.test('wrong input is refused by its place, and nothing is written', async (t) => {
  const folder = await temporaryFolder(t)
  const plans = join(folder, 'plans')
  const models = await modelsOf(t)
  const files: Record<string, string> = {
    'number.csv': 'campaign,price\nc1,2\nc2,dear\n',
    'vocabulary.csv': 'campaign,price\nc1,\n',
    'column.csv': 'campain,price\nc1,2\n',
    'none.csv': 'a,b\n1,2\n',
    'empty.csv': 'campaign,price\n',
    'cells.csv': 'campaign,price\nc1\n',
    'ads.json': '[]',
  }
  await mkdir(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const expected: Record<string, RegExp> = {
    'number.csv': /number\.csv:\n {2}\/price number\.csv line 3: price must be a number, not "dear"/,
    'vocabulary.csv': /line 2: price is required: the field has no default/,
    'column.csv': /column\.csv:\n {2}\/campaign .*campain/,
    'none.csv': /\/campaign/,
    'empty.csv': /has no rows/,
    'cells.csv': /line 2 has 1 cells, not 2/,
    'ads.json': /must be a \.csv, \.csv\.gz or \.parquet file/,
    'missing.parquet': /no such file/,
  }
  for (const [name, message] of Object.entries(expected)) {
    const args = ['warm', join(models, 'ads-funnel'), '--cache', plans, '--catalogue', join(folder, name)]
    t.match(await runCli(args), { code: 1, stderr: message }, name)
  }
  const [plan] = await readdir(plans)
  t.same(
    (await readdir(join(plans, plan!))).filter((name) => name.startsWith('catalogue')),
    [],
  )
  const usage = (...args: string[]) => runCli(['warm', join(models, 'ads-funnel'), ...args])
  t.match(await usage(), { code: 2, stderr: /--catalogue or --update must name a file/ })
  t.match(await usage('--catalogue', 'a.csv', '--update', 'a.csv'), { code: 2, stderr: /cannot be used with option/ })
  t.match(await usage('--catalogue', 'a.csv', '--precision', 'int4'), { code: 2, stderr: /Allowed choices are auto/ })
  t.match(await usage('--catalogue', 'a.csv', '--cache', 'off'), { code: 1, stderr: /cache of plans, which is off/ })
  t.match(await runCli(['warm', 'nothing', '--catalogue', 'a.csv']), { code: 1, stderr: /neither the folder of/ })
  t.match(await usage('--help'), { code: 0, stdout: /multigate warm ads-funnel --update new-ads\.csv/ })
})

// `multigate warm`, and servers that have the candidates from their first request on.
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { parquetOf } from '../../support/parquet.ts'
import { startProcess } from '../../support/process.ts'
import {
  ads,
  body,
  costs,
  csvOf,
  details,
  metric,
  metricIn,
  modelsOf,
  predictions,
  read,
  serve,
  unknown,
  versionOf,
  warm,
} from '../../support/warm.ts'

const cache = await temporaryFolder(t)

t.test('the first request hits, and answers are bit for bit those without a catalogue', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'ads.csv'), csvOf([...ads, ...ads.slice(0, 50)]))
  const columns = (['campaign', 'price', 'category'] as const).map((name) => ({
    name,
    data: ads.map((row) => row[name]!),
  }))
  await writeFile(join(folder, 'ads.parquet'), parquetOf(columns, 100))
  for (const [precision, files] of [
    ['float32', ['ads.csv']],
    ['int8', ['ads.parquet']],
  ] as const) {
    const models = await modelsOf(t, precision)
    const plain = await serve(t, models, cache)
    t.equal((await details(plain)).plan.precision, precision)
    t.equal((await details(plain)).plan.catalogue, undefined)
    t.equal((await details(plain)).memory.catalogue, undefined)
    t.notMatch(await read(plain, '/metrics'), /multigate_catalogue_\w+\{/)
    for (const file of files) {
      const report = await warm(versionOf(models), cache, join(folder, file), { precision: 'float32' })
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
  const report = await warm(versionOf(models), plans, join(folder, 'ads.csv'))
  // The costs that the command measured, as of a machine where cached candidates pay.
  const [name] = (await readdir(plans)).filter((name) => name.startsWith('costs-'))
  const file = join(plans, name!)
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

t.test('a catalogue that can not be used is left out, and the log and /models say so', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'ads.csv'), csvOf(ads))
  const models = await modelsOf(t)
  const plain = await serve(t, models, join(folder, 'plans'))
  const expected = predictions(await plain.predict(body(ads.slice(0, 30))))
  const { folder: plan } = await warm(versionOf(models), join(folder, 'plans'), join(folder, 'ads.csv'))
  const [files] = (await readdir(plan)).filter((name) => /^catalogue-float32\.\w{8}$/.test(name))
  const cases: [RegExp, () => Promise<unknown>][] = [
    [/rows\.bin has 100 bytes, not \d+/, () => truncate(join(plan, files!, 'rows.bin'), 100)],
    [/(rows\.bin|catalogue\.onnx|index\.bin) is missing/, () => rm(join(plan, files!), { recursive: true })],
    [/catalogue-float32\.json is damaged/, () => truncate(join(plan, 'catalogue-float32.json'), 20)],
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
  await t.rejects(warm(versionOf(models), join(folder, 'plans'), join(folder, 'ads.csv'), { update: true }), {
    message: /the catalogue of ads-funnel\/1 is unusable: .* damaged; write all/,
  })
  await warm(versionOf(models), join(folder, 'plans'), join(folder, 'ads.csv'))
  t.same((await serve(t, models, join(folder, 'plans'))).warnings, [])
})

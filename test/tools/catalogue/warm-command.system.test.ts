import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { WantedPrecision } from '../../../src/tools/catalogue/judge-precision.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { importRows } from '../../support/feature-table.ts'
import { ads, body, csvOf, metric, modelsOf, predictions, serve, unknown, versionOf, warm } from '../../support/warm.ts'

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
  for (const precision of ['float32', 'bfloat16', 'int8'] as const) {
    const report = await warm(versionOf(models), plans, file, { precision })
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
  const auto = await warm(versionOf(models), plans, file)
  t.ok(['bfloat16', 'int8'].includes(auto.precision))
  t.match(await spawnCli(['warm', join(models, 'ads-funnel'), '--cache', plans, '--catalogue', file]), {
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
  const judged = (name: string, precision?: WantedPrecision) =>
    warm(join(root, 'ads'), plans, join(folder, name), { ...(precision && { precision }) })
  const many = await judged('many.csv', 'bfloat16')
  t.match(many, { precision: 'bfloat16', verdicts: { bfloat16: { passed: true, tasks: [{ auc_loss: null }, {}] } } })
  const few = await judged('few.csv', 'int8')
  t.match(few, { precision: 'float32', notes: [/^float32 is stored, not int8: at least 100 different rows/] })
  t.match(await judged('few.csv'), { precision: 'float32', notes: [] })

  // Numbers whose weights are so large that a small change of them shows.
  const steep = await temporaryFolder(t)
  await writeTestBundle(steep, { numberScale: 300, manifest: { golden: undefined as never } })
  const far = await warm(join(steep, 'ads'), plans, join(folder, 'many.csv'), { precision: 'int8' })
  t.match(far, {
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
  const update = () => warm(versionOf(models), plans, join(folder, 'changed.csv'), { update: true })
  await t.rejects(update(), {
    message: 'there is no catalogue of ads-funnel/1 to update; write all candidates with --catalogue',
  })
  const first = await warm(versionOf(models), plans, join(folder, 'ads.csv'), { precision: 'bfloat16' })
  const running = await serve(t, models, plans)
  const second = await update()
  t.match(second, { read: 25, repeated: 5, precision: 'bfloat16', rows: first.rows + 20 })
  // The server that has the former one goes on with it, until it loads the version again.
  await running.predict(body([...unknown, ...ads.slice(0, 40)]))
  t.equal(await metric(running, 'multigate_catalogue_hits_total'), 40)
  const restarted = await serve(t, models, plans)
  await restarted.predict(body([...unknown, ...ads.slice(0, 40)]))
  t.equal(await metric(restarted, 'multigate_catalogue_hits_total'), 60)
  t.equal((await readdir(first.folder)).filter((name) => /^catalogue-float32\./.test(name)).length, 2)
})

t.test('a feature table is a list of candidates, and gives what a list of keys lacks', async (t) => {
  const folder = await temporaryFolder(t)
  const [plans, models] = [join(folder, 'plans'), await modelsOf(t)]
  const file = join(versionOf(models), 'manifest.json')
  const features = ['campaign', 'price', 'category']
  const entities = { ad: { key: 'ad_id', side: 'candidate', table: 'ads', features, unknown: 'leave_out' } }
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), entities }))
  const some = ads.slice(0, 100)
  await importRows(
    models,
    'ads',
    some.map((row, i) => ({ id: `ad-${i}`, ...row })),
  )
  // A delta: another price, a new ad, and one that is gone.
  await writeFile(join(folder, 'prices.csv'), 'id,campaign,price,category\nad-1,c1,77,k1\nad-new,c2,78,k2\n')
  await writeFile(join(folder, 'gone.csv'), 'id\nad-2\n')
  const delta = ['features', 'delta', 'ads', join(folder, 'prices.csv'), '--remove', join(folder, 'gone.csv')]
  t.match(await runCli([...delta, '--models', models]), { code: 0 })

  const keys = ['ad-0', 'ad-1', 'ad-new', ...Array.from({ length: 57 }, (_, i) => `ad-${i + 3}`)]
  const before = await serve(t, models, plans)
  const { context } = body([])
  const byId = { model: 'ads-funnel', context, candidates: keys }
  const expected = predictions(await before.predict(byId))
  const report = await warm(versionOf(models), plans, undefined, { precision: 'float32' })
  t.equal(report.read, 100)
  t.notOk(report.notes.some((note: string) => /left out/.test(note)))
  const running = await serve(t, models, plans)
  const answers = predictions(await running.predict(byId))
  t.equal(await metric(running, 'multigate_catalogue_hits_total'), keys.length)
  for (const [i, row] of answers.entries())
    for (const [task, p] of row.entries()) t.ok(Math.abs(p! - expected[i]![task]!) < 1e-6, `${keys[i]}: ${p}`)

  await writeFile(join(folder, 'keys.csv'), ['ad_id', 'ad-1', 'ad-2', 'nobody', 'ad-new'].join('\n'))
  const { read, rows, notes } = await warm(versionOf(models), plans, join(folder, 'keys.csv'), { precision: 'float32' })
  t.same([read, rows], [2, 2])
  t.ok(notes.includes('2 rows have keys that the table does not have: they are left out'))
  await writeFile(join(folder, 'keys.csv'), 'ad_id\nad-2\n')
  await t.rejects(warm(versionOf(models), plans, join(folder, 'keys.csv')), {
    message: 'the table has none of the 1 keys in the file',
  })
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
  for (const [name, message] of Object.entries(expected))
    await t.rejects(warm(versionOf(models), plans, join(folder, name)), { message }, name)
  const [plan] = await readdir(plans)
  t.same(
    (await readdir(join(plans, plan!))).filter((name) => name.startsWith('catalogue')),
    [],
  )
  const usage = (...args: string[]) => runCli(['warm', join(models, 'ads-funnel'), ...args])
  t.match(await usage('--cache', plans), {
    code: 1,
    stderr: /ads-funnel\/1 has no table of candidates: name a file of them/,
  })
  t.match(await usage('--catalogue', 'a.csv', '--update', 'a.csv'), { code: 2, stderr: /cannot be used with option/ })
  t.match(await usage('--catalogue', 'a.csv', '--precision', 'int4'), { code: 2, stderr: /Allowed choices are auto/ })
  t.match(await usage('--catalogue', 'a.csv', '--cache', 'off'), { code: 1, stderr: /cache of plans, which is off/ })
  t.match(await runCli(['warm', 'nothing', '--catalogue', 'a.csv']), { code: 1, stderr: /neither the folder of/ })
  t.match(await usage('--help'), { code: 0, stdout: /multigate warm ads-funnel --update new-ads\.csv/ })
})

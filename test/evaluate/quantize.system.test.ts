import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type RunQuantizeOptions, runQuantize } from '../../src/evaluate/run-quantize.ts'
import { createUniform } from '../../src/model/base/random.ts'
import { readQuantizationRows } from '../../src/model/bundle/quantization.ts'
import type { Bundle } from '../../src/model/bundle/read.ts'
import { prepareInThread } from '../../src/model/compile/prepare-in-thread.ts'
import { drawRow } from '../../src/model/features/draw-value.ts'
import { createEncoder } from '../../src/model/features/encoder.ts'
import { describeGraph, outputsOf, savedGraph } from '../../src/model/prediction/load-graph.ts'
import { readBundle } from '../../src/model/version/read-version.ts'
import { type TestBundle, temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { evaluateDefaults, evaluateToJson } from '../support/evaluate.ts'
import { withoutBfloat16 } from '../support/onednn.ts'

const count = 1200

/** A version, `count` rows of its fields with labels, and their spec. */
async function writeShop(
  t: Test,
  { bundle = {}, spec = {}, rows = count }: Partial<{ bundle: TestBundle; spec: object; rows: number }> = {},
) {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'models')
  await writeTestBundle(models, { name: 'shop', ...bundle })
  const random = createUniform(5)
  const drawn = Array.from({ length: rows }, () => drawRow(testFeatures, random))
  const names = testFeatures.map(({ name }) => name)
  const lines = drawn.map((row, i) => [...names.map((name) => row[name]), i % 2, i % 4 === 1 ? 1 : 0].join(','))
  await writeFile(join(folder, 'rows.csv'), `${[...names, 'click', 'sale'].join(',')}\n${lines.join('\n')}\n`)
  const data = join(folder, 'rows.yaml')
  const tasks = [
    { name: 'ctr', label: 'click == "1"' },
    { name: 'cvr', label: 'sale == "1"', where: 'click == "1"' },
  ]
  await writeFile(data, JSON.stringify({ data: { csv: ['rows.csv'] }, tasks, ...spec }))
  return { folder, models, data, drawn, cache: join(folder, 'cache') }
}

type Shop = Awaited<ReturnType<typeof writeShop>>

async function quantize({ models, data, cache }: Shop, changes: Partial<RunQuantizeOptions> = {}) {
  const out: string[] = []
  const err: string[] = []
  const code = await runQuantize({
    ...{ ...evaluateDefaults, models, data, cache, target: 'shop' },
    ...{ precision: 'auto', tables: undefined, rows: 4096, dryRun: false, json: true },
    out: { write: (text) => out.push(text) },
    err: { write: (text) => err.push(text) },
    ...changes,
  })
  return { code, printed: out.join(''), said: err.join('') }
}

/** The plan that a server would compile or find. */
async function prepareAsServer(bundle: Bundle, cache: string) {
  const rows = await readQuantizationRows(bundle)
  const source = savedGraph(bundle, outputsOf(bundle.manifest))
  return prepareInThread({ ...describeGraph(bundle.manifest, rows), source, cache, now: Date.now() })
}

t.test('writes the next version, with rows that judge its precision', async (t) => {
  const shop = await writeShop(t)
  const { code, printed, said } = await quantize(shop, { rows: 1000 })
  t.equal(code, 0)
  t.match(said, /^written to .*shop\/2\n$/)
  const report = JSON.parse(printed)
  t.match(report, { model: 'shop', version: '2', folder: /shop\/2$/, rows: 1000, precision: 'auto', tables: 'float32' })
  t.match(report.notes, [/^precision auto: /])

  const bundle = await readBundle(shop.models, 'shop', '2')
  const { manifest } = bundle
  t.match(manifest, { version: '2', precision: 'auto', quantization: { rows: 1000, labels: true } })
  t.match(manifest.provenance?.quantization, { from: 'shop/1', data: 'rows.csv', rows: 1000 })
  const stored = (await readQuantizationRows(bundle))!
  // The first of the data, and the first of the second half: the second that was chosen.
  const encoder = createEncoder(manifest.features)
  const expected = encoder.rows(undefined, [shop.drawn[0]!, shop.drawn[1]!], { maxRows: 2, partial: false })
  const [ids, numbers] = [encoder.layout.sparse.length, encoder.layout.dense.length]
  for (const [row, place] of [0, 500].entries()) {
    t.same(stored.sparse.subarray(place * ids, (place + 1) * ids), expected.sparse.subarray(row * ids, (row + 1) * ids))
    t.same(
      stored.dense.subarray(place * numbers, (place + 1) * numbers),
      expected.dense.subarray(row * numbers, (row + 1) * numbers),
    )
  }
  // Row 0: no click, so that there is no label of a sale; row 1: a click and a sale.
  t.same(stored.labels!.subarray(0, 2), Float32Array.of(0, Number.NaN))
  t.same(stored.labels!.subarray(1000, 1002), Float32Array.of(1, 1))

  t.equal((await prepareAsServer(bundle, shop.cache)).plan?.origin, 'cached', 'a server finds the compiled plan')
  const evaluated = { data: shop.data, models: shop.models, cache: shop.cache }
  const [former, next] = [
    await evaluateToJson({ ...evaluated, target: 'shop/1' }),
    await evaluateToJson({ ...evaluated, target: 'shop/2' }),
  ]
  const auc = next.tasks[0]!.metrics.auc.value! - former.tasks[0]!.metrics.auc.value!
  t.ok(Math.abs(auc) < 1e-3, `the same graph: AUC differs by ${auc}`)

  const again = await quantize(shop, { target: 'shop/2', precision: 'int8', dryRun: true })
  t.equal(again.code, 0)
  t.match(JSON.parse(again.printed), {
    version: '3',
    folder: null,
    served: { precision: 'int8' },
    verdict: { passed: true, rows: 600 },
  })
  t.match(again.said, /^nothing was written\n$/)
  t.same(await readdir(join(shop.models, 'shop')), ['1', '2'])
})

t.test('writes nothing where the precision fails its check', async (t) => {
  // Large weights of the numbers: their rounding shows.
  const shop = await writeShop(t, { bundle: { numberScale: 3000 } })
  const { code, printed, said } = await quantize(shop, { precision: 'int8', json: false })
  t.equal(code, 3)
  t.match(printed, /^shop\/2: int8, judged on half of 1200 rows; this machine serves float32\n/)
  t.match(printed, /float32 is served, not int8: /)
  t.match(printed, /\nint8 +AUC loss +mean change [\s\S]*exceeds the limits: /)
  t.match(said, /nothing was written\n$/)
  t.same(await readdir(join(shop.models, 'shop')), ['1'])
})

t.test('bfloat16 that this machine can not compute is left to machines that can', async (t) => {
  const shop = await writeShop(t)
  const { code, printed } = await quantize(shop, { precision: 'bfloat16' })
  t.equal(code, 0)
  const { served, verdict, notes } = JSON.parse(printed)
  const missing = withoutBfloat16()
  if (missing === undefined)
    t.match({ served, verdict }, { served: { precision: 'bfloat16' }, verdict: { passed: true } })
  else t.match({ served, notes }, { served: { precision: 'float32' }, notes: [/float32 is served, not bfloat16: /] })
  t.equal((await readBundle(shop.models, 'shop', '2')).manifest.precision, 'bfloat16')
})

t.test('takes the validation rows of a spec that splits its rows', async (t) => {
  const shop = await writeShop(t, { spec: { split: { by: 'order', train: 0.5, validation: 0.25, test: 0.25 } } })
  t.match(JSON.parse((await quantize(shop, { dryRun: true })).printed), { rows: 300 })
  t.match(JSON.parse((await quantize(shop, { dryRun: true, part: 'test' })).printed), { rows: 300 })
  t.match(JSON.parse((await quantize(shop, { dryRun: true, part: 'train' })).printed), { rows: 600 })
})

t.test('refuses rows that are too few, or that no request may have', async (t) => {
  const few = await writeShop(t, { rows: 150 })
  await t.rejects(quantize(few), {
    message:
      /rows\.yaml:\n {2}\/data half of the rows judge the precision: at least 100 different rows are needed, there are 75/,
  })
  await t.rejects(quantize(few, { part: 'test' }), { message: /\/split is missing, so there is no part test/ })
  await writeFile(join(few.folder, 'rows.csv'), 'country,hour,campaign,price,views,click,sale\nDE,99,c1,1,1,0,0\n')
  await t.rejects(quantize(few), { message: /\/fields\/1 rows\.csv line 2: hour must be from 0 to 23/ })
  await rm(join(few.folder, 'rows.csv'))
  await t.rejects(quantize(few), { message: /rows\.csv/ })
  t.same(await readdir(join(few.models, 'shop')), ['1'])
})

t.test('from the command line', async (t) => {
  const { models, data, cache } = await writeShop(t)
  const asked = ['quantize', 'shop', '--data', data, '--models', models]
  const written = await runCli([...asked, '--precision', 'float32'], { MULTIGATE_CACHE: cache })
  t.match(written, { code: 0, stdout: /^shop\/2: float32, judged on half of 1200 rows/, stderr: /^written to/ })
  const tables = await runCli([...asked, '--tables', 'float16'], { MULTIGATE_CACHE: cache })
  t.match(tables, { code: 3, stdout: /float32 tables are served, not float16: /, stderr: /nothing was written/ })
  t.match(await runCli(['quantize', 'shop', '--models', models]), { code: 2, stderr: /--data <spec>' not specified/ })
  t.match(await runCli(['quantize', 'shop', '--data', data, '--rows', '10']), { code: 2, stderr: /from 200 to 100000/ })
})

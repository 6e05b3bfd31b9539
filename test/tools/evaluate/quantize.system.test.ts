import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual as isSame } from 'node:util'
import t from 'tap'
import { prepareInThread } from '../../../src/model/graph/compile/prepare-in-thread.ts'
import { readQuantizationRows } from '../../../src/model/serving/bundle/quantization.ts'
import type { Bundle } from '../../../src/model/serving/bundle/read.ts'
import { createEncoder } from '../../../src/model/serving/features/encoder.ts'
import { describeGraph, outputsOf, savedGraph } from '../../../src/model/serving/prediction/load-graph.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { testFeatures } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { evaluateToJson } from '../../support/evaluate.ts'
import { count, quantize, writeShop } from '../../support/quantize.ts'

/** For tests that no plan of another one disturbs. */
const cache = process.env.MULTIGATE_CACHE

/** The plan that a server would compile or find. */
async function prepareAsServer(bundle: Bundle, cache: string) {
  const rows = await readQuantizationRows(bundle)
  const source = savedGraph(bundle, outputsOf(bundle.manifest))
  return prepareInThread({ ...describeGraph(bundle.manifest, rows), source, cache, now: Date.now() })
}

t.test('writes the next version, with rows that judge its precision', async (t) => {
  const shop = await writeShop(t)
  const first = join(shop.models, 'shop/1')
  const described = JSON.parse(await readFile(join(first, 'manifest.json'), 'utf8'))
  described.files['evaluation.json'] = createHash('sha256').update('{}').digest('hex')
  await writeFile(join(first, 'evaluation.json'), '{}')
  await writeFile(join(first, 'manifest.json'), JSON.stringify(described))
  const { code, printed, said } = await quantize(shop)
  t.equal(code, 0)
  t.match(said, /^written to .*shop\/2\n$/)
  const report = JSON.parse(printed)
  t.match(report, {
    model: 'shop',
    version: '2',
    folder: /shop\/2$/,
    rows: 1200,
    precision: 'auto',
    former: 'float32',
    tables: 'float32',
  })
  t.match(report.notes, [/^precision auto: /])

  const bundle = await readBundle(shop.models, 'shop', '2')
  const { manifest } = bundle
  t.notOk('evaluation.json' in manifest.files, "the report of the version before is not this one's")
  t.match(manifest, {
    version: '2',
    precision: 'auto',
    quantization: { file: 'quantization.bin', rows: 1200, labels: true },
  })
  t.match(manifest.provenance?.quantization, { from: 'shop/1', data: 'rows.csv', rows: 1200 })
  const stored = (await readQuantizationRows(bundle))!
  // The first two rows of the data are the first of each half, in this order or in the other.
  const encoder = createEncoder(manifest.features)
  const expected = encoder.rows(undefined, [shop.drawn[0]!, shop.drawn[1]!], { maxRows: 2, partial: false })
  const [ids, numbers] = [encoder.layout.sparse.length, encoder.layout.dense.length]
  const rowIn = (values: Int32Array | Float32Array, width: number, row: number) => [
    ...values.subarray(row * width, (row + 1) * width),
  ]
  const second = isSame(rowIn(stored.dense, numbers, 0), rowIn(expected.dense, numbers, 0)) ? 600 : 0
  for (const [row, place] of [600 - second, second].entries()) {
    t.same(rowIn(stored.sparse, ids, place), rowIn(expected.sparse, ids, row))
    t.same(rowIn(stored.dense, numbers, place), rowIn(expected.dense, numbers, row))
  }
  // Row 0: no click, so that there is no label of a sale; row 1: a click and a sale.
  t.same(rowIn(stored.labels!, 2, 600 - second), [0, Number.NaN])
  t.same(rowIn(stored.labels!, 2, second), [1, 1])

  t.equal((await prepareAsServer(bundle, shop.cache)).plan?.origin, 'cached', 'a server finds the compiled plan')
  const evaluated = { data: shop.data, models: shop.models, cache: shop.cache }
  const [former, next] = [
    await evaluateToJson({ ...evaluated, target: 'shop/1' }),
    await evaluateToJson({ ...evaluated, target: 'shop/2', precisions: ['int8'] }),
  ]
  const auc = next.tasks[0]!.metrics.auc.value! - former.tasks[0]!.metrics.auc.value!
  t.ok(Math.abs(auc) < 1e-3, `the same graph: AUC differs by ${auc}`)
  t.match(next.int8_check, { passed: Boolean, rows: count, tasks: [{ task: 'ctr' }, { task: 'cvr' }] })

  const again = await quantize(shop, { target: 'shop/2', precision: 'int8', keepPrecision: true, dryRun: true })
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

t.test('takes the validation rows of a spec that splits its rows', async (t) => {
  const shop = await writeShop(t, { cache, spec: { split: { by: 'order', train: 0.5, validation: 0.25, test: 0.25 } } })
  t.match(JSON.parse((await quantize(shop, { dryRun: true })).printed), { rows: 300 })
  t.match(JSON.parse((await quantize(shop, { dryRun: true, part: 'test' })).printed), { rows: 300 })
  t.match(JSON.parse((await quantize(shop, { dryRun: true, part: 'train' })).printed), { rows: 600 })
})

t.test('replaces the rows that a version has, whatever their file is called', async (t) => {
  const shop = await writeShop(t, { cache })
  t.equal((await quantize(shop)).code, 0)
  const folder = join(shop.models, 'shop/2')
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  const { 'quantization.bin': sha256, ...files } = manifest.files
  await rename(join(folder, 'quantization.bin'), join(folder, 'rows.bin'))
  const { quantization } = manifest
  await writeFile(
    join(folder, 'manifest.json'),
    JSON.stringify({
      ...manifest,
      quantization: { ...quantization, file: 'rows.bin' },
      files: { ...files, 'rows.bin': sha256 },
    }),
  )
  t.equal((await quantize(shop, { precision: 'float32' })).code, 0)
  const names = await readdir(join(shop.models, 'shop/3'))
  t.ok(names.includes('quantization.bin') && !names.includes('rows.bin'), names.join())

  const taken = await writeShop(t, { cache, bundle: { files: { 'quantization.bin': Buffer.from('something else') } } })
  t.equal((await quantize(taken, { precision: 'float32' })).code, 0)
  const bundle = await readBundle(taken.models, 'shop', '2')
  t.equal(bundle.manifest.quantization?.file, 'quantization-2.bin')
  t.equal(await readFile(join(taken.models, 'shop/2/quantization.bin'), 'utf8'), 'something else')
})

t.test('keeps live tables in float32', async (t) => {
  const features = testFeatures.map((field) => (field.name === 'campaign' ? { ...field, live: true } : field))
  const shop = await writeShop(t, { cache, bundle: { manifest: { features: features as typeof testFeatures } } })
  await t.rejects(quantize(shop), { message: /^shop has live fields, .* --precision float32 keeps them$/ })
  t.equal((await quantize(shop, { precision: 'float32' })).code, 0)
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
  const written = await spawnCli([...asked, '--precision', 'float32'], { MULTIGATE_CACHE: cache })
  t.match(written, { code: 0, stdout: /^shop\/2: float32, with 1,200 quantization rows/, stderr: /^written to/ })
  const tables = await runCli([...asked, '--tables', 'float16'], { MULTIGATE_CACHE: cache })
  t.match(tables, { code: 3, stdout: /float32 tables are served, not float16: /, stderr: /nothing was written/ })
  t.match(await runCli(['quantize', 'shop', '--models', models]), { code: 2, stderr: /--data <spec>' not specified/ })
  t.match(await runCli(['quantize', 'shop', '--data', data, '--rows', '10']), { code: 2, stderr: /from 200 to 100000/ })
})

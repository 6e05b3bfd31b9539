import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createOnnxEngine } from '../../../src/model/engines/onnx/onnx.ts'
import { openLayersModel } from '../../../src/model/engines/tensorflow/open-layers-model.ts'
import { prepareTensorFlow } from '../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { type ExportOptions, exportModel } from '../../../src/tools/convert/export-model.ts'
import { importModel } from '../../../src/tools/convert/import-model.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { saveExternal } from '../../support/external-weights.ts'
import { importOptions } from '../../support/import-options.ts'

const exported = (models: string, options: Partial<ExportOptions> & Pick<ExportOptions, 'to' | 'out'>) =>
  exportModel({
    target: 'ads',
    models,
    keras: 3,
    force: false,
    signal: new AbortController().signal,
    progress: () => undefined,
    ...options,
  })

async function bundle(t: Test) {
  const models = t.testdir()
  const manifest = await writeTestBundle(models)
  return { models, manifest, rows: manifest.golden!.rows.length }
}

t.test('onnx: one file, with every output', async (t) => {
  const { models, rows } = await bundle(t)
  const out = join(models, 'deep/ads.onnx')
  t.match(await exported(models, { to: 'onnx', out }), { out, checked: rows, manifest: { name: 'ads' } })
  t.same(await readdir(join(models, 'deep')), ['ads.onnx'])
  const engine = await createOnnxEngine({ threads: 1 })
  const source = { folder: join(models, 'deep'), format: 'onnx' as const, file: 'ads.onnx' }
  const loaded = await engine.load({ ...source, outputs: ['probabilities', 'logits', 'gate_ctr'] })
  t.match(loaded.signature.inputs, [
    { name: 'sparse', dtype: 'int32', width: 3 },
    { name: 'dense', width: 2 },
  ])
  await loaded.close()
})

t.test('tfjs: a folder that any TensorFlow.js program opens', async (t) => {
  const { models, rows } = await bundle(t)
  const out = join(models, 'web')
  t.match(await exported(models, { to: 'tfjs', out }), { checked: rows })
  const names = await readdir(out)
  t.same(names.sort(), ['group1-shard1of1.bin', 'model.json'])
  const files = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(out, name))] as const)),
  )
  const model = await openLayersModel(await prepareTensorFlow('cpu'), files)
  t.same(model.outputNames, ['probabilities'])
  model.dispose()
})

t.test('keras-weights: an import makes the same model of them again', async (t) => {
  const { models, rows, manifest } = await bundle(t)
  for (const keras of [2, 3] as const) {
    const out = join(models, `ads-${keras}.weights.h5`)
    t.match(await exported(models, { to: 'keras-weights', out, keras }), { checked: rows })
    const features = join(models, 'features.json')
    await writeFile(features, JSON.stringify(manifest.features))
    const golden = join(models, 'golden.json')
    await writeFile(golden, JSON.stringify(manifest.golden))
    const options = importOptions(out, models, { name: `again-${keras}`, features, golden, tasks: ['ctr', 'cvr'] })
    const again = await importModel(options)
    t.same(again.manifest.architecture, manifest.architecture)
    t.same(again.manifest.golden?.probabilities, manifest.golden?.probabilities)
  }
})

t.test('an ONNX file is exported as it is, with its tables, and as nothing else', async (t) => {
  const { models, manifest } = await bundle(t)
  const onnx = join(models, 'ads.onnx')
  await exported(models, { to: 'onnx', out: onnx })
  const { writeBundle } = await import('../../../src/model/serving/bundle/write.ts')
  const graph = { ...manifest.graph, format: 'onnx' as const, file: 'graph.onnx' }
  const { quantization: _, ...rest } = manifest
  const own = { ...rest, name: 'own', graph }
  await writeBundle(join(models, 'own/1'), { manifest: own, files: { 'graph.onnx': await readFile(onnx) } })
  const out = join(models, 'copy.onnx')
  t.match(await exported(models, { target: 'own', to: 'onnx', out }), { checked: manifest.golden!.rows.length })
  t.same(await readFile(out), await readFile(onnx))
  for (const to of ['tfjs', 'keras-weights'] as const)
    await t.rejects(exported(models, { target: 'own', to, out: join(models, to) }), {
      code: 'UNSUPPORTED_GRAPH',
      message: /own\/1 is an ONNX file, which can only be exported with --to onnx/,
    })
})

t.test('weights in a file are exported to one that is named after the export', async (t) => {
  const { models, manifest } = await bundle(t)
  const plain = join(models, 'ads.onnx')
  await exported(models, { to: 'onnx', out: plain })
  const { writeBundle } = await import('../../../src/model/serving/bundle/write.ts')
  const { quantization: _, ...rest } = manifest
  const graph = { ...manifest.graph, format: 'onnx' as const, file: 'graph.onnx' }
  const folder = await temporaryFolder(t)
  await saveExternal(folder, 'graph.onnx', await readFile(plain))
  const files = {
    'graph.onnx': await readFile(join(folder, 'graph.onnx')),
    'graph.onnx.data': await readFile(join(folder, 'graph.onnx.data')),
  }
  await writeBundle(join(models, 'own/1'), { manifest: { ...rest, name: 'own', graph }, files })
  const outs = join(models, 'outs')
  const golden = { checked: manifest.golden!.rows.length }
  for (const name of ['a.onnx', 'b.onnx'])
    t.match(await exported(models, { target: 'own', to: 'onnx', out: join(outs, name) }), golden)
  t.same((await readdir(outs)).sort(), ['a.onnx', 'a.onnx.data', 'b.onnx', 'b.onnx.data'])
  t.same(await readFile(join(outs, 'b.onnx.data')), files['graph.onnx.data'])
  await rm(join(outs, 'a.onnx'))
  await t.rejects(exported(models, { target: 'own', to: 'onnx', out: join(outs, 'a.onnx') }), {
    code: 'INVALID_REQUEST',
    message: /a\.onnx\.data exists already; --force/,
  })
})

t.test('what is there is left alone; what fails leaves nothing', async (t) => {
  const { models, manifest } = await bundle(t)
  const out = join(models, 'x')
  await writeFile(out, 'mine')
  await t.rejects(exported(models, { to: 'onnx', out }), {
    code: 'INVALID_REQUEST',
    message: /exists already; --force/,
  })
  t.equal(await readFile(out, 'utf8'), 'mine')
  await exported(models, { to: 'tfjs', out, force: true })
  t.same((await readdir(out)).length, 2)
  await t.rejects(exported(models, { target: 'nothing', to: 'onnx', out: join(models, 'y') }), {
    code: 'MODEL_NOT_FOUND',
  })

  const golden = {
    ...manifest.golden!,
    probabilities: manifest.golden!.probabilities.map((row) => row.map((p) => 1 - p)),
  }
  await writeTestBundle(models, { version: '2', manifest: { golden } })
  for (const to of ['onnx', 'tfjs', 'keras-weights'] as const)
    await t.rejects(exported(models, { target: 'ads/2', to, out: join(models, 'z') }), {
      code: 'MODEL_FAILED',
      message: /ads\/2: the export answers .* for ctr in golden row 0/,
    })
  const stopped = AbortSignal.abort(new Error('interrupted'))
  await t.rejects(exported(models, { to: 'onnx', out: join(models, 'z'), signal: stopped }), { message: 'interrupted' })
  t.same((await readdir(models)).sort(), ['ads', 'x'])
})

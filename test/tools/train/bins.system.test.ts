// Bins of numbers as users meet them: asked for in a spec, trained, served, continued and exported.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLayersModel } from '../../../src/model/graph/lower/layers/layers-model.ts'
import { writeBundle } from '../../../src/model/serving/bundle/write.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import type { TrainField } from '../../../src/schemas/train-spec.ts'
import { binEdges } from '../../../src/tools/train/bin-edges.ts'
import { onnxNetwork } from '../../../src/tools/train/network/onnx-network.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { startTestServer } from '../../support/server.ts'
import { tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const { fields, ...rest } = tinySpec()
const binned = { ...rest, fields: fields.map((field) => (field.name === 'size' ? { ...field, bins: 8 } : field)) }
const folder = await temporaryFolder(t)
await writeFile(join(folder, 'tiny.csv'), tinyCsv())
await trainIn(folder, binned)
const models = join(folder, 'models')

t.test('edges are quantiles of the training rows, equal ones once', async (t) => {
  const fields = [
    { kind: 'hash' },
    { kind: 'numeric', bins: 4 },
    { kind: 'numeric' },
    { kind: 'numeric', bins: 2, name: 'd' },
  ] as unknown as TrainField[]
  const dense = Float32Array.from([4, 0, 7, 1, 0, 7, 3, 0, 7, 2, 0, 7, 5, 0, 9].flat())
  const encoded = { rows: 5, dense, denseFields: 3, sparse: new Int32Array(5), sparseFields: 1 }
  t.same(binEdges('spec.yaml', fields, { encoded }), [[1, 2, 3, 4, 5], undefined, [7, 9]])
  // Neither the order of many rows nor widths without an inverse in float32 hide a value.
  const many = { rows: 400_000, sparse: new Int32Array(), sparseFields: 0, denseFields: 1 }
  const alternating = Float32Array.from({ length: many.rows }, (_, row) => row % 2)
  const one = [fields[1]!]
  t.same(binEdges('spec.yaml', one, { encoded: { ...many, dense: alternating } }), [[0, 1]])
  const tiny = { ...many, rows: 4, dense: Float32Array.of(0, 1e-40, 2e-40, 1) }
  t.same(binEdges('spec.yaml', one, { encoded: tiny }), [[0, 1]])
  dense[14] = 7
  t.throws(
    () => binEdges('spec.yaml', fields, { encoded }),
    /\/fields\/3\/bins d has the same value in all training rows: leave bins out/,
  )
})

t.test('a version with bins is split by sides, and answers as any other', async (t) => {
  const onWarning = (message: string) => t.fail(message)
  const compiler = { cache: undefined, candidateBytes: 1 << 20, now: Date.now, onWarning }
  const server = await startTestServer(t, { models, limits: { compiler } })
  const { body } = await server.predict({ candidates: [{ colour: 'red', size: 2, is_red: 1, hour: 3 }] })
  t.match(body.predictions, [{ ctr: Number }])
  const { plan } = JSON.parse((await server.fastify.inject({ method: 'GET', url: '/models/tiny' })).body)
  t.match(plan, { compiled: true, split_by_side: true })
})

t.test('training goes on with the same bins', async (t) => {
  await trainIn(folder, { ...rest, fields }, 'tiny/1')
  const [before, after] = await Promise.all(
    ['1', '2'].map((version) => readLayersModel(join(models, 'tiny', version), 'model.json')),
  )
  for (const name of ['bins/line_0/kernel', 'bins/line_0/bias'])
    t.same(after!.weights.get(name)!.data, before!.weights.get(name)!.data)
  t.notSame(after!.weights.get('dense_embedding/kernel')!.data, before!.weights.get('dense_embedding/kernel')!.data)
})

t.test('training goes on with rows that tell no bins, and an export keeps them too', async (t) => {
  await writeFile(join(folder, 'tiny.csv'), tinyCsv().replaceAll(/^(\w+,[^,]+,\d+),[^,]*/gm, '$1,2.5'))
  await trainIn(folder, binned, 'tiny/1')
  await writeFile(join(folder, 'tiny.csv'), tinyCsv())
  const { manifest } = await readBundle(models, 'tiny', '1')
  await runCli(['export', 'tiny/1', '--to', 'onnx', '--models', models, '--out', join(folder, 'own.onnx')])
  const { quantization: _, ...rest } = manifest
  const graph = { ...rest.graph, format: 'onnx' as const, file: 'graph.onnx' }
  await writeBundle(join(models, 'own/1'), {
    manifest: { ...rest, name: 'own', graph },
    files: { 'graph.onnx': await readFile(join(folder, 'own.onnx')) },
  })
  const { names } = await onnxNetwork(await readBundle(models, 'own', '1'), () => false)
  t.ok(names.includes('dense_embedding/kernel') && !names.some((name) => name.startsWith('bins/')), `${names}`)
})

t.test('exports have them; the classes of Keras do not', async (t) => {
  const out = (name: string) => ['--models', models, '--out', join(folder, name)]
  t.match(await runCli(['export', 'tiny', '--to', 'onnx', ...out('a.onnx')]), { code: 0, stdout: /8 golden rows/ })
  t.match(await runCli(['export', 'tiny', '--to', 'tfjs', ...out('web')]), { code: 0, stdout: /8 golden rows/ })
  t.match(await runCli(['export', 'tiny', '--to', 'keras-weights', ...out('a.weights.h5')]), {
    code: 1,
    stderr: /have no bins: use --to tfjs or --to onnx/,
  })
})

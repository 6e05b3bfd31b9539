// Bins of numbers, and embeddings of another dimension or penalty, as users meet them: asked for in a spec, trained,
// served, continued and exported.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLayersModel } from '../../../src/model/graph/lower/layers/layers-model.ts'
import { writeBundle } from '../../../src/model/serving/bundle/write.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { onnxNetwork } from '../../../src/tools/train/network/onnx-network.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { startTestServer } from '../../support/server.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const { fields, architecture, training, ...rest } = tinySpec()
const own: Record<string, object> = { colour: { dim: 2 }, shop: { l2: 0.5 }, size: { bins: 8 } }
const spec = {
  ...rest,
  fields: [
    ...fields.map((field) => ({ ...field, ...own[field.name] })),
    { name: 'colour_hour', kind: 'crossed', of: ['colour', 'hour'], dim: 3, l2: 0 },
  ],
  architecture: { ...architecture, wide: true, wide_l2: 0.001, num_experts_context: 1, num_experts_candidate: 1 },
  training: { ...training, tables: 'adagrad', unknown: 0.05 },
}
const plainFields = [...fields, { name: 'colour_hour', kind: 'crossed', of: ['colour', 'hour'] }]
const shortTraining = { ...training, epochs: 1 }
const folder = await temporaryFolder(t)
await writeFile(join(folder, 'tiny.csv'), tinyCsv())
await trainIn(folder, spec)
const models = join(folder, 'models')
const { manifest } = await readBundle(models, 'tiny', '1')

t.test('every field has a table of its own, as wide and penalised as it asks for', async (t) => {
  const { weights, layers } = await readLayersModel(join(models, 'tiny/1'), 'model.json')
  const tables = [0, 1, 2, 3].map((column) => {
    const name = `embedding/field_${column}`
    const { config } = layers.get(name)!
    const penalty = config.embeddings_regularizer as { config: { l2: number } } | null
    return [weights.get(`${name}/embeddings`)!.shape, penalty?.config.l2]
  })
  t.same(tables, [
    [[4, 2], 0.001],
    [[8, 4], 0.5],
    [[25, 4], 0.001],
    [[100, 3], undefined],
  ])
  t.same(weights.get('wide/field_2/embeddings')!.shape, [25, 2])
  t.notOk([...weights.keys()].some((name) => name === 'embedding/embeddings' || name === 'wide/embeddings'))
  t.equal(manifest.graph.inputs.ids, 'per_field')
  t.notOk(JSON.stringify([manifest.features, manifest.crossed]).includes('"dim"'), 'the graph alone needs them')
  t.same(manifest.provenance!.field_options, {
    colour: { dim: 2 },
    shop: { l2: 0.5 },
    size: { bins: 8 },
    is_red: { expression: 'colour == "red"' },
    colour_hour: { dim: 3, l2: 0 },
  })
})

t.test('it is split by sides, and every form of a request is answered alike', async (t) => {
  const onWarning = (message: string) => t.fail(message)
  const compiler = { cache: undefined, candidateBytes: 1 << 20, now: Date.now, onWarning }
  const server = await startTestServer(t, { models, limits: { compiler } })
  const rows = manifest.golden!.rows.slice(0, 2)
  const { body } = await server.predict({ candidates: rows })
  const served = manifest.golden!.served!.slice(0, 2)
  for (const [i, { ctr }] of body.predictions.entries()) t.ok(Math.abs(ctr - served[i]![0]!) < 1e-5)
  const columns = Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name])]))
  const byColumns = await server.predict({ candidates: columns })
  t.same(
    byColumns.body.predictions.ctr,
    body.predictions.map(({ ctr }: { ctr: number }) => ctr),
  )
  const read = async (url: string) => JSON.parse((await server.fastify.inject({ method: 'GET', url })).body)
  t.match((await read('/models/tiny')).plan, { compiled: true, split_by_side: true })
})

t.test('training goes on with the same tables and bins, whatever the spec and its rows say of them', async (t) => {
  // Neither the fields nor the rows tell bins.
  await writeFile(join(folder, 'tiny.csv'), tinyCsv().replaceAll(/^(\w+,[^,]+,\d+),[^,]*/gm, '$1,2.5'))
  const next = { ...rest, fields: plainFields, training: shortTraining }
  await trainIn(folder, next, 'tiny/1')
  await writeFile(join(folder, 'tiny.csv'), tinyCsv())
  const [before, after] = await Promise.all(
    ['1', '2'].map((version) => readLayersModel(join(models, 'tiny', version), 'model.json')),
  )
  for (const name of ['bins/line_0/kernel', 'bins/line_0/bias'])
    t.same(after!.weights.get(name)!.data, before!.weights.get(name)!.data)
  t.notSame(after!.weights.get('dense_embedding/kernel')!.data, before!.weights.get('dense_embedding/kernel')!.data)
  t.same(after!.weights.get('embedding/field_0/embeddings')!.shape, [4, 2])
  const { provenance } = (await readBundle(models, 'tiny', '2')).manifest
  t.same(provenance!.field_options, manifest.provenance!.field_options, 'the console shows them too')
})

t.test('exports have them, and leave bins unchanged in training; the classes of Keras do not', async (t) => {
  const out = (name: string) => ['--models', models, '--out', join(folder, name)]
  t.match(await runCli(['export', 'tiny/1', '--to', 'onnx', ...out('a.onnx')]), { code: 0, stdout: /8 golden rows/ })
  t.match(await runCli(['export', 'tiny/1', '--to', 'tfjs', ...out('web')]), { code: 0, stdout: /8 golden rows/ })
  t.match(await runCli(['export', 'tiny/1', '--to', 'keras-weights', ...out('a.weights.h5')]), {
    code: 1,
    stderr: /don't have a table per field or bins: use --to tfjs or --to onnx/,
  })
  const { quantization: _, ...others } = manifest
  const graph = { ...others.graph, format: 'onnx' as const, file: 'graph.onnx' }
  await writeBundle(join(models, 'own/1'), {
    manifest: { ...others, name: 'own', graph },
    files: { 'graph.onnx': await readFile(join(folder, 'a.onnx')) },
  })
  const { names } = await onnxNetwork(await readBundle(models, 'own', '1'), () => false)
  t.ok(names.includes('dense_embedding/kernel') && !names.some((name) => name.startsWith('bins/')), `${names}`)
})

t.test('a spec that was read keeps embeddings apart, and a number has none', async (t) => {
  const file = join(folder, 'spec.json')
  await writeFile(file, JSON.stringify(spec))
  const read = await readSpec(file, specs)
  t.same(read.spec.embeddings, {
    colour: { dim: 2, l2: undefined },
    shop: { dim: undefined, l2: 0.5 },
    colour_hour: { dim: 3, l2: 0 },
  })
  t.same(Object.keys(read.spec.crossed[0]!).sort(), ['buckets', 'name', 'of', 'seed'])
  const wrong = JSON.parse(await readFile(file, 'utf8'))
  wrong.fields[3].dim = 4
  await writeFile(file, JSON.stringify(wrong))
  await t.rejects(readSpec(file, specs), /\/fields\/3.*dim/)
})

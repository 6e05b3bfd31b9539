import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { ModelErrorCode } from '../../../../../src/base/errors.ts'
import { prepareTensorFlow } from '../../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture } from '../../../../../src/model/graph/architectures/build.ts'
import { readLayersModel } from '../../../../../src/model/graph/lower/layers/layers-model.ts'
import { openBuilt, saveLayersModel } from '../../../../support/layers-model.ts'

const tensorflow = await prepareTensorFlow('cpu')
const model = await openBuilt(
  tensorflow,
  buildArchitecture(
    {
      name: 'shared_bottom',
      dim_emb: 3,
      embedding_l2: 0,
      num_hidden_shared: 2,
      dim_hidden_shared: 5,
      dropout_shared: 0,
      num_hidden_tasks: 1,
      dim_hidden_tasks: 4,
      dropout_tasks: 0,
    },
    { sparseFields: 2, denseFields: 1, ids: 9, tasks: ['ctr', 'cvr'], seed: 1 },
  ),
)

async function saved(t: { testdir(): string }, shards = 2): Promise<string> {
  const folder = t.testdir()
  await saveLayersModel(tensorflow, model, folder, shards)
  return folder
}

type Json = {
  format?: string
  modelTopology: {
    class_name: string
    config: { layers: { name: string; inbound_nodes: unknown[] }[]; output_layers: unknown }
  }
  weightsManifest: { paths: string[]; weights: Record<string, unknown>[] }[]
}

t.test('reads every weight as it was, over any number of shards', async (t) => {
  for (const shards of [1, 3]) {
    const folder = await saved(t, shards)
    const read = await readLayersModel(folder, 'model.json')
    t.same(
      [...read.weights.keys()],
      model.weights.map((weight) => weight.originalName),
    )
    for (const weight of model.weights) {
      const { data, shape, dtype } = read.weights.get(weight.originalName)!
      t.same(shape, weight.shape)
      t.equal(dtype, 'float32')
      t.same(new Float32Array(data.slice().buffer), weight.read().dataSync())
    }
  }
})

t.test('reads layers, inputs and outputs', async (t) => {
  const read = await readLayersModel(await saved(t), 'model.json')
  t.same(read.inputs, [
    { layer: 'sparse', node: 0, tensor: 0 },
    { layer: 'dense', node: 0, tensor: 0 },
  ])
  t.same(read.outputs, [{ layer: 'probabilities', node: 0, tensor: 0 }])
  t.match(read.layers.get('embedding'), {
    className: 'Embedding',
    config: { input_dim: 9, output_dim: 3 },
    applications: [[{ layer: 'sparse', node: 0, tensor: 0 }]],
  })
})

t.test('reads a model below its folder, shards beside it', async (t) => {
  const folder = t.testdir()
  await saveLayersModel(tensorflow, model, join(folder, 'graph'))
  t.equal((await readLayersModel(folder, 'graph/model.json')).weights.size, model.weights.length)
})

t.test('takes what Keras wraps in model_config', async (t) => {
  const folder = await saved(t)
  await edit(folder, (json) => {
    Object.assign(json, { modelTopology: { model_config: json.modelTopology } })
  })
  t.equal((await readLayersModel(folder, 'model.json')).layers.size, model.layers.length)
})

const shard = 'group1-shard2of2.bin'
const abuses: [string, (folder: string) => Promise<unknown>, ModelErrorCode, RegExp][] = [
  ['a missing model.json', (folder) => rm(join(folder, 'model.json')), 'INVALID_BUNDLE', /^model\.json: is missing$/],
  [
    'half a model.json',
    async (folder) => truncate(join(folder, 'model.json'), 1000),
    'INVALID_BUNDLE',
    /^model\.json: is not JSON/,
  ],
  [
    'something else in JSON',
    (folder) => writeFile(join(folder, 'model.json'), '[1]'),
    'INVALID_BUNDLE',
    /^model\.json: is not a layers model/,
  ],
  ['null', (folder) => writeFile(join(folder, 'model.json'), 'null'), 'INVALID_BUNDLE', /is not a layers model/],
  ['a missing shard', (folder) => rm(join(folder, shard)), 'INVALID_BUNDLE', /^group1-shard2of2\.bin: is missing$/],
  [
    'a truncated shard',
    (folder) => truncate(join(folder, shard), 10),
    'INVALID_BUNDLE',
    /^group1-shard1of2\.bin, group1-shard2of2\.bin: holds \d+ bytes, its weights need \d+$/,
  ],
  [
    'a shard with bytes to spare',
    async (folder) => truncate(join(folder, shard), 4096),
    'INVALID_BUNDLE',
    /holds \d+ bytes/,
  ],
  [
    'a shard outside the folder',
    (folder) => edit(folder, (json) => json.weightsManifest[0]!.paths.splice(1, 1, '../weights.bin')),
    'INVALID_BUNDLE',
    /^\.\.\/weights\.bin: is not a path inside the folder/,
  ],
  [
    'a shard by absolute path',
    (folder) => edit(folder, (json) => json.weightsManifest[0]!.paths.splice(1, 1, '/etc/hostname')),
    'INVALID_BUNDLE',
    /^\/etc\/hostname: is not a path inside the folder/,
  ],
  [
    'a folder for a shard',
    (folder) => edit(folder, (json) => json.weightsManifest[0]!.paths.splice(1, 1, '.')),
    'INVALID_BUNDLE',
    /is not a path inside/,
  ],
  [
    'an unknown dtype',
    (folder) => edit(folder, (json) => Object.assign(json.weightsManifest[0]!.weights[0]!, { dtype: 'float64' })),
    'INVALID_BUNDLE',
    /^model\.json: the weight embedding\/embeddings has the dtype float64/,
  ],
  [
    'quantised weights',
    (folder) =>
      edit(folder, (json) => Object.assign(json.weightsManifest[0]!.weights[0]!, { quantization: { dtype: 'uint8' } })),
    'UNSUPPORTED_GRAPH',
    /embedding\/embeddings is quantised/,
  ],
  [
    'a shape of another size',
    (folder) => edit(folder, (json) => Object.assign(json.weightsManifest[0]!.weights[0]!, { shape: [1e9, 1e9] })),
    'INVALID_BUNDLE',
    /its weights need 4e\+18|its weights need \d+/,
  ],
  [
    'two weights of one name',
    (folder) =>
      edit(folder, (json) => {
        const [first, second] = json.weightsManifest[0]!.weights
        second!.name = first!.name
      }),
    'INVALID_BUNDLE',
    /two weights are named embedding\/embeddings/,
  ],
  [
    'two layers of one name',
    (folder) =>
      edit(folder, ({ modelTopology: { config } }) => {
        config.layers[1]!.name = config.layers[0]!.name
      }),
    'INVALID_BUNDLE',
    /two layers are named sparse/,
  ],
  [
    'an input from nowhere',
    (folder) =>
      edit(folder, ({ modelTopology: { config } }) => {
        config.layers.at(-1)!.inbound_nodes = [[['nowhere', 0, 0, {}]]]
      }),
    'INVALID_BUNDLE',
    /^model\.json: there is no layer nowhere/,
  ],
  [
    'an application that is not there',
    (folder) =>
      edit(folder, ({ modelTopology: { config } }) => {
        config.output_layers = [['probabilities', 1, 0]]
      }),
    'INVALID_BUNDLE',
    /^model\.json: the layer probabilities has no application 1/,
  ],
  [
    'a sequential model',
    (folder) => edit(folder, (json) => Object.assign(json.modelTopology, { class_name: 'Sequential' })),
    'UNSUPPORTED_GRAPH',
    /models of class Sequential are not supported/,
  ],
  [
    'a graph model',
    (folder) => edit(folder, (json) => Object.assign(json, { format: 'graph-model' })),
    'UNSUPPORTED_GRAPH',
    /is a TensorFlow\.js graph model/,
  ],
]

for (const [what, spoil, code, message] of abuses) {
  t.test(`refuses ${what}`, async (t) => {
    const folder = await saved(t)
    await spoil(folder)
    await t.rejects(readLayersModel(folder, 'model.json'), { name: 'ModelError', code, message })
  })
}

t.test('refuses a model.json outside the folder', async (t) => {
  await t.rejects(readLayersModel(await saved(t), '../model.json'), { code: 'INVALID_BUNDLE' })
})

async function edit(folder: string, change: (json: Json) => void): Promise<void> {
  const path = join(folder, 'model.json')
  const json = JSON.parse(await readFile(path, 'utf8'))
  change(json)
  await writeFile(path, JSON.stringify(json))
}

import t from 'tap'
import { prepareTensorFlow } from '../../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture } from '../../../../../src/model/graph/architectures/build.ts'
import {
  layersFiles,
  layersModelFiles,
  setWeights,
} from '../../../../../src/model/graph/lower/layers/write-layers-model.ts'
import type { ArchitectureOptions } from '../../../../../src/schemas/architecture.ts'
import { openBuilt } from '../../../../support/layers-model.ts'

const options = {
  name: 'shared_bottom',
  dim_emb: 2,
  embedding_l2: 0,
  num_hidden_shared: 2,
  dim_hidden_shared: 4,
  dropout_shared: 0,
  num_hidden_tasks: 2,
  dim_hidden_tasks: 4,
  dropout_tasks: 0,
} satisfies ArchitectureOptions
const build = (ids: number, width: number) =>
  buildArchitecture({ ...options, dim_emb: width }, { sparseFields: 2, denseFields: 1, ids, tasks: ['a'], seed: 1 })

t.test('TensorFlow.js opens every weight by its name', async (t) => {
  const model = build(5, 2)
  let next = 0
  setWeights(model, ({ shape }) =>
    Float32Array.from({ length: shape.reduce((size, side) => size * side, 1) }, () => next++),
  )
  t.same(Object.keys(layersModelFiles(model)).sort(), ['group1-shard1of1.bin', 'model.json'])
  const opened = await openBuilt(await prepareTensorFlow('cpu'), model)
  t.equal(opened.weights.length, model.weights.size)
  for (const weight of opened.weights) {
    const { data, shape } = model.weights.get(weight.originalName)!
    t.same(weight.shape, shape)
    t.same([...weight.read().dataSync()], [...new Float32Array(data.slice().buffer)], weight.originalName)
  }
})

t.test('large weights are written in shards', async (t) => {
  const model = build(20_000, 64)
  const files = layersModelFiles(model)
  t.same(Object.keys(files).sort(), ['group1-shard1of2.bin', 'group1-shard2of2.bin', 'model.json'])
  t.equal(files['group1-shard1of2.bin']!.byteLength, 4 * 1024 * 1024)
  const opened = await openBuilt(await prepareTensorFlow('cpu'), model)
  t.equal(opened.countParams() * 4, model.weightData.byteLength)
})

t.test('refuses values of another size', async (t) => {
  t.throws(
    () => setWeights(build(5, 2), () => new Float32Array(3)),
    new RangeError("embedding/embeddings [5,2] can't have 3 values"),
  )
  t.throws(
    () => layersFiles({}, [{ name: 'a/kernel', shape: [2, 2], dtype: 'float32' }], [new Float32Array(5)]),
    new RangeError("a/kernel [2,2] can't have 5 values"),
  )
})

import t from 'tap'
import { createRandom } from '../../src/data/random.ts'
import { buildArchitecture } from '../../src/model/architectures/build.ts'
import { prepareTensorFlow } from '../../src/model/engines/tensorflow/tensorflow-backend.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import { batchBounds, createGather, type Examples } from '../../src/train/batches.ts'
import { createNetwork } from '../../src/train/network.ts'
import { openBuilt } from '../support/layers-model.ts'

const tensorflow = await prepareTensorFlow()
const { tf } = tensorflow

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

const examples: Examples = {
  encoded: {
    rows: 4,
    sparse: Int32Array.of(0, 3, 1, 4, 2, 3, 0, 4),
    dense: Float32Array.of(0.5, -1, 2, 0),
    sparseFields: 2,
    denseFields: 1,
  },
  labels: [Int8Array.of(1, 0, 1, 0), Int8Array.of(1, -1, 0, -1)],
}
const tasks = [{ weight: 2 }, { weight: 0.5 }]
const order = Int32Array.of(0, 1, 2, 3)
const batch = () => createGather(examples, tasks, 4)(order, 0, 4)

async function create(changes: Partial<typeof options> = {}, learningRate = 0.01) {
  const built = buildArchitecture(
    { ...options, ...changes },
    { sparseFields: 2, denseFields: 1, ids: 5, tasks: ['a', 'b'], seed: 1 },
  )
  const model = await openBuilt(tensorflow, built)
  return { model, network: createNetwork(tensorflow, model, learningRate, createRandom(1)) }
}

t.test('batches never end in a single row', async (t) => {
  t.same(batchBounds(5, 2), [
    { start: 0, end: 2 },
    { start: 2, end: 5 },
  ])
  t.same(batchBounds(4, 2), [
    { start: 0, end: 2 },
    { start: 2, end: 4 },
  ])
  t.same(batchBounds(3, 8), [{ start: 0, end: 3 }])
  t.same(batchBounds(1, 8), [{ start: 0, end: 1 }])
})

t.test('gathers rows in the order asked for, weights spread over the sample space', async (t) => {
  const { rows, sparse, dense, labels, coefficients } = createGather(examples, tasks, 3)(
    Int32Array.of(3, 2, 1, 0),
    1,
    4,
  )
  t.equal(rows, 3)
  t.same([...sparse], [2, 3, 1, 4, 0, 3])
  t.same([...dense], [2, -1, 0.5])
  t.same([...labels], [1, 0, 0, 0, 1, 1])
  t.same(
    [...coefficients],
    [2, 0.5, 2, 0, 2, 0.5]
      .map((value, i) => Math.fround(value / (i % 2 ? 2 : 3)))
      .map((value, i) => (i === 3 ? 0 : value)),
  )
})

t.test("the loss is each task's mean over its sample space, weighted", async (t) => {
  // Without hidden layers there is no batch normalisation: training and inference answer the same.
  const { network } = await create({ num_hidden_shared: 1, num_hidden_tasks: 1 })
  const z = network.logits(examples.encoded)
  const bce = (logit: number, label: number) => -Math.log(1 / (1 + Math.exp(label ? -logit : logit)))
  const a = [0, 1, 2, 3].reduce((sum, row) => sum + bce(z[row * 2]!, examples.labels[0]![row]!), 0) / 4
  const b = [0, 2].reduce((sum, row) => sum + bce(z[row * 2 + 1]!, examples.labels[1]![row]!), 0) / 2
  t.ok(Math.abs(network.step(batch()) - (2 * a + 0.5 * b)) < 1e-5)
  network.dispose()
})

t.test('a task without rows in the batch adds nothing', async (t) => {
  const { network } = await create()
  const outside: Examples = { ...examples, labels: [Int8Array.of(-1, -1, -1, -1), Int8Array.of(-1, -1, -1, -1)] }
  t.equal(network.step(createGather(outside, tasks, 4)(order, 0, 4)), 0)
  network.dispose()
})

t.test('the embedding table is penalised', async (t) => {
  const free = await create()
  const penalised = await create({ embedding_l2: 10 })
  const table = penalised.network.snapshot()[0]!
  const squares = table.reduce((sum, x) => sum + x * x, 0)
  t.ok(Math.abs(penalised.network.step(batch()) - free.network.step(batch()) - 10 * squares) < 1e-4)
  for (let i = 0; i < 50; i++) penalised.network.step(batch())
  const norm = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0)
  t.ok(norm(penalised.network.snapshot()[0]!) < squares / 2, 'and shrinks')
  free.network.dispose()
  penalised.network.dispose()
})

t.test('learns, moves the statistics of batch normalisation, and goes back', async (t) => {
  const { model, network } = await create({}, 0.05)
  const before = network.snapshot()
  const answered = network.logits(examples.encoded)
  const first = network.step(batch())
  for (let i = 0; i < 100; i++) network.step(batch())
  t.ok(network.step(batch()) < first / 4)
  const moved = model.weights.flatMap((weight, i) =>
    /moving_/.test(weight.originalName) ? [!tensorEquals(before[i]!, network.snapshot()[i]!)] : [],
  )
  t.ok(moved.length > 0 && moved.every(Boolean))
  network.restore(before)
  t.same(network.logits(examples.encoded), answered)
  network.dispose()
})

t.test('extreme logits keep the loss finite', async (t) => {
  const { model, network } = await create({ num_hidden_shared: 1, num_hidden_tasks: 1 })
  model.setWeights(model.weights.map((weight) => tf.fill(weight.shape as number[], 100)))
  t.ok(Number.isFinite(network.step(batch())))
  network.dispose()
})

t.test('dropout draws a new mask at each step, by the seed', async (t) => {
  const losses = async () => {
    const { network } = await create({ dropout_shared: 0.5 }, 1e-12)
    const values = Array.from({ length: 6 }, () => network.step(batch()))
    network.dispose()
    return values
  }
  const values = await losses()
  t.same(values, await losses())
  t.ok(new Set(values.map((value) => value.toFixed(4))).size > 2, `${values}`)
})

t.test('steps leave no tensors behind', async (t) => {
  const { network } = await create({ embedding_l2: 0.1, dropout_tasks: 0.5 })
  network.step(batch())
  const before = tf.memory().numTensors
  for (let i = 0; i < 3; i++) network.step(batch())
  network.logits(examples.encoded)
  network.restore(network.snapshot())
  t.equal(tf.memory().numTensors, before)
  network.dispose()
})

function tensorEquals(a: Float32Array, b: Float32Array): boolean {
  return a.every((value, i) => value === b[i])
}

import t from 'tap'
import { buildArchitecture } from '../../../../src/model/graph/architectures/build.ts'
import type { ModelShape } from '../../../../src/model/graph/architectures/layers.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { createArchitecture } from '../../../../src/tools/train/network/layers-network.ts'
import { openTrainer } from '../../../support/trainer.ts'

const common = { dim_emb: 2, embedding_l2: 0, num_hidden_tasks: 1, dim_hidden_tasks: 2, dropout_tasks: 0 }
const options: ArchitectureOptions = { name: 'esmm', ...common, wide: true, wide_l2: 0.5 }
const shape: ModelShape = { sparseFields: 2, denseFields: 1, ids: 6, tasks: ['a', 'b'], seed: 1 }

t.test('a weight per id and task, and a matrix that adds them', async (t) => {
  const model = buildArchitecture(options, shape)
  const shapes = [...model.weights].flatMap(([name, weight]) => (name.startsWith('wide') ? [[name, weight.shape]] : []))
  t.same(shapes, [
    ['wide/embeddings', [6, 2]],
    ['wide_sum/kernel', [4, 2]],
    ['wide_dense/kernel', [1, 2]],
  ])
  const sum = model.weights.get('wide_sum/kernel')!.data
  t.same([...new Float32Array(sum.buffer as ArrayBuffer, sum.byteOffset, 8)], [1, 0, 0, 1, 1, 0, 0, 1])
})

t.test('its sum is no weight, and its table has a penalty', async (t) => {
  const network = createArchitecture(options, shape)
  t.notOk(network.names.includes('wide_sum/kernel'))
  const { l2, trained, columnwise } = await network.open()
  t.same([...l2], [['wide/embeddings', 0.5]])
  t.ok(trained.has('wide/embeddings') && trained.has('wide_dense/kernel') && !trained.has('wide_sum/kernel'))
  t.same([...columnwise!], ['wide/embeddings'])
})

t.test('it alone learns which ids a task likes, and each task by itself', async (t) => {
  const rows = {
    sparse: Int32Array.of(0, 3, 0, 4, 1, 3, 2, 5),
    dense: new Float32Array(4),
    labels: [Int8Array.of(1, 1, 0, 0), Int8Array.of(0, 1, 0, 1)],
  }
  for (const adagrad of [undefined, 0.3]) {
    const { trainer, step, logits, network } = await openTrainer(t, {
      architecture: { ...options, wide_l2: 0 },
      shape,
      rows,
      ...(adagrad && { adagrad }),
    })
    // The rest of the network answers 0.
    const state = await trainer.read()
    state.weights.fill(0)
    for (const table of state.tables) table.values.fill(0)
    await trainer.write(state)
    for (let i = 0; i < 60; i++) await step()
    const answers = await logits()
    rows.labels.forEach((labels, task) => {
      labels.forEach((label, row) => {
        t.ok(label ? answers[row * 2 + task]! > 0.1 : answers[row * 2 + task]! < -0.1, `row ${row}, task ${task}`)
      })
    })
    t.same([...network.values('wide_sum/kernel')], [1, 0, 0, 1, 1, 0, 0, 1])
  }
})

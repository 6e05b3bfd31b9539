import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { buildArchitecture } from '../../../../src/model/graph/architectures/build.ts'
import type { ModelShape } from '../../../../src/model/graph/architectures/layers.ts'
import { lowerToGraph } from '../../../../src/model/graph/lower/layers/lower-layers.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { createArchitecture } from '../../../../src/tools/train/network/layers-network.ts'

const common = { dim_emb: 2, embedding_l2: 0, num_hidden_tasks: 2, dim_hidden_tasks: 3, dropout_tasks: 0 }
const options: ArchitectureOptions = { name: 'single_task', ...common, wide: true }
const shape: ModelShape = {
  ...{ sparseFields: 1, denseFields: 3, ids: 6, tasks: ['a', 'b'], seed: 1 },
  bins: [[-1, 0, 2], undefined, [1, 3]],
}

t.test('each bin tells how far a value has come through it', async (t) => {
  const model = buildArchitecture(options, shape)
  const graph = lowerToGraph(model, ['bins/bins_0', 'bins/bins_2'], { training: false })
  const session = await ort.InferenceSession.create(graph.toBytes())
  const values = [-5, 9, 0, -1, 9, 1, -0.25, 9, 2, 0, 9, 3, 1, 9, 4, 2, 9, 1.5, 7, 9, 2.5]
  const { 'bins/bins_0': first, 'bins/bins_2': last } = await session.run({
    sparse: new ort.Tensor('int32', new Int32Array(7), [7, 1]),
    dense: new ort.Tensor('float32', Float32Array.from(values), [7, 3]),
  })
  t.same([...(first!.data as Float32Array)], [0, 0, 0, 0, 0.75, 0, 1, 0, 1, 0.5, 1, 1, 1, 1])
  t.same([...(last!.data as Float32Array)], [0, 0, 0.5, 1, 1, 0.25, 0.75])
})

t.test('numbers are embedded and summed with their bins, which are not trained', async (t) => {
  const { weights } = buildArchitecture(options, shape)
  // Three numbers and three bins; a direction of two for each number.
  t.same(weights.get('dense_embedding_a/kernel')!.shape, [6, 6])
  t.same(weights.get('wide_dense/kernel')!.shape, [6, 2])
  t.notOk(createArchitecture(options, shape).names.some((name) => name.startsWith('bins/')))
  const without = buildArchitecture(options, { ...shape, bins: [undefined, undefined, undefined] })
  t.same(
    [...without.layers.keys()],
    [...buildArchitecture(options, { ...shape, bins: undefined }).layers.keys()],
    'without bins nothing is added',
  )
  t.notOk([...without.layers.keys()].some((name) => name === 'numbers' || name.startsWith('bins/')))
})

t.test('experts of one side have the bins of its numbers', async (t) => {
  const experts = { num_experts: 1, num_experts_context: 1, num_hidden_expert: 1, dim_hidden_expert: 3 }
  const { weights } = buildArchitecture({ name: 'multi_gate', ...common, ...experts, dropout_expert: 0 } as never, {
    ...shape,
    sides: { sparse: ['candidate'], dense: ['context', 'candidate', 'candidate'] },
  })
  t.same(weights.get('dense_embedding_context/kernel')!.shape, [3, 2])
})

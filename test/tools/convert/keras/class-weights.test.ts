import t from 'tap'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { classWeights } from '../../../../src/tools/convert/keras/class-weights.ts'

const shape = { sparseFields: 2, denseFields: 1, ids: 5, tasks: ['ctr'] }
const multiGate: ArchitectureOptions = {
  ...{ name: 'multi_gate', dim_emb: 2, embedding_l2: 0, num_experts: 2, num_hidden_expert: 2, dim_hidden_expert: 3 },
  ...{ dropout_expert: 0, num_hidden_tasks: 2, dim_hidden_tasks: 3, dropout_tasks: 0 },
}

t.test("options that the reference's classes lack are refused by name", async (t) => {
  t.throws(() => classWeights({ ...multiGate, dims_expert: [4], gate_temperature: 2 }, shape), {
    code: 'UNSUPPORTED_GRAPH',
    message: /^the reference's class MultiGateMixtureOfExperts has no dims_expert, gate_temperature: /,
  })
  const absent = { output_expert: 'linear', gate_temperature: 1, num_experts_context: 0 } as const
  t.same(classWeights({ ...multiGate, ...absent }, shape), classWeights(multiGate, shape))
})

t.test('architectures without a class are refused by name', async (t) => {
  const { dim_emb, embedding_l2, num_hidden_tasks, dim_hidden_tasks, dropout_tasks } = multiGate
  const options = { dim_emb, embedding_l2, num_hidden_tasks, dim_hidden_tasks, dropout_tasks }
  t.throws(() => classWeights({ name: 'esmm', ...options } as ArchitectureOptions, shape), {
    code: 'UNSUPPORTED_GRAPH',
    message: 'esmm has no class in Keras: known are SharedBottom, MixtureOfExperts, MultiGateMixtureOfExperts, AITM',
  })
})

import fc from 'fast-check'
import type { ModelShape } from '../../src/model/architectures/layers.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'

const width = fc.integer({ min: 1, max: 9 })
const depth = fc.integer({ min: 1, max: 3 })
const dropout = fc.constantFrom(0, 0.2)
const embedding = { dim_emb: fc.integer({ min: 1, max: 5 }), embedding_l2: fc.constantFrom(0, 1e-4) }
const towers = { num_hidden_tasks: depth, dim_hidden_tasks: width, dropout_tasks: dropout }
const experts = {
  num_experts: fc.integer({ min: 1, max: 4 }),
  num_hidden_expert: depth,
  dim_hidden_expert: width,
  dropout_expert: dropout,
}

/** What the reference fixes, and its variants change. */
const variant = fc.record(
  {
    activation: fc.constantFrom('linear', 'relu', 'sigmoid', 'tanh'),
    normalisation: fc.constantFrom('batch', 'none'),
    gate_function: fc.constantFrom('softmax', 'linear', 'relu', 'sigmoid', 'tanh'),
  },
  { requiredKeys: [] },
)

const plainOptions: fc.Arbitrary<ArchitectureOptions> = fc.oneof(
  fc.record({
    name: fc.constant('shared_bottom' as const),
    ...embedding,
    num_hidden_shared: depth,
    dim_hidden_shared: width,
    dropout_shared: dropout,
    ...towers,
  }),
  fc.record({ name: fc.constant('mixture_of_experts' as const), ...embedding, ...experts, ...towers }),
  fc.record({ name: fc.constant('multi_gate' as const), ...embedding, ...experts, ...towers }),
  fc.record({
    name: fc.constant('aitm' as const),
    ...embedding,
    num_hidden_tower: depth,
    dim_hidden_tower: width,
    dropout_tower: dropout,
    num_hidden_head: depth,
    dim_hidden_head: width,
    dropout_proj_head: dropout,
  }),
)

/** Any of the four architectures, small. */
export const randomOptions: fc.Arbitrary<ArchitectureOptions> = fc
  .tuple(plainOptions, variant)
  .map(([options, changes]) => change(options, changes))

function change(options: ArchitectureOptions, changes: object): ArchitectureOptions {
  const { gate_function, ...hidden } = changes as { gate_function?: string }
  return {
    ...options,
    ...hidden,
    ...('num_experts' in options && gate_function && { gate_function }),
  } as ArchitectureOptions
}

/** One to three tasks, at least one field. */
export const randomShape: fc.Arbitrary<ModelShape> = fc
  .record({
    sparseFields: fc.integer({ min: 0, max: 4 }),
    denseFields: fc.integer({ min: 0, max: 4 }),
    ids: fc.integer({ min: 1, max: 40 }),
    tasks: fc.integer({ min: 1, max: 3 }).map((count) => ['ctr', 'cvr', 'pay'].slice(0, count)),
    seed: fc.nat(),
  })
  .filter(({ sparseFields, denseFields }) => sparseFields + denseFields > 0)

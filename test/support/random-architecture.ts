import type { TSchema } from 'typebox'
import type { ModelShape } from '../../src/model/graph/architectures/layers.ts'
import { BuiltInArchitecture } from '../../src/model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import type { Side } from '../../src/schemas/features.ts'
import { fc } from './cases.ts'

/** Small values of an option, by its schema and its name. */
function small(option: string, schema: TSchema, tasks: string[]): fc.Arbitrary<unknown> {
  const { type, const: only, anyOf } = schema as { type?: string; const?: unknown; anyOf?: { const: unknown }[] }
  const { minItems } = schema as { minItems?: number }
  if (type === 'boolean') return fc.boolean()
  if (only !== undefined) return fc.constant(only)
  if (type === 'array') return fc.array(fc.integer({ min: 1, max: 9 }), { minLength: minItems!, maxLength: 3 })
  if (option === 'dims_tasks') {
    const hidden = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 2 })
    return fc.oneof(hidden, fc.record(Object.fromEntries(tasks.map((task) => [task, hidden]))))
  }
  if (anyOf !== undefined) return fc.constantFrom(...anyOf.map((choice) => choice.const))
  if (option.startsWith('num_hidden')) return fc.integer({ min: 1, max: 3 })
  if (option === 'num_levels') return fc.integer({ min: 1, max: 3 })
  if (/^num_experts(_context|_candidate)?$/.test(option)) return fc.integer({ min: 0, max: 3 })
  if (option.startsWith('num_')) return fc.integer({ min: 1, max: 4 })
  if (option === 'dim_emb') return fc.integer({ min: 1, max: 5 })
  if (option === 'gate_temperature') return fc.constantFrom(0.3, 1, 4)
  if (type === 'integer') return fc.integer({ min: 1, max: 9 })
  return option === 'embedding_l2' ? fc.constantFrom(0, 1e-4) : fc.constantFrom(0, 0.2)
}

/** Any architecture for a model of this shape, small. */
export function randomOptions({
  tasks,
  sides,
}: Pick<ModelShape, 'tasks' | 'sides'>): fc.Arbitrary<ArchitectureOptions> {
  const has = (side: Side) => [...(sides?.sparse ?? []), ...(sides?.dense ?? [])].includes(side)
  return fc
    .oneof(
      ...BuiltInArchitecture.anyOf.map(({ properties, required }) => {
        const options = Object.entries(properties as Record<string, TSchema>).filter(
          ([option]) => !/^num_experts_c/.test(option) || has(option.slice('num_experts_'.length) as Side),
        )
        return fc.record(
          Object.fromEntries(options.map(([option, schema]) => [option, small(option, schema, tasks)])),
          {
            requiredKeys: [...required],
          },
        )
      }),
    )
    .map(({ wide_l2, ...rest }: Record<string, unknown>) => {
      const options = rest.wide && wide_l2 !== undefined ? { ...rest, wide_l2 } : rest
      const { num_experts, num_experts_context = 0, num_experts_candidate = 0 } = options
      return num_experts === 0 && !num_experts_context && !num_experts_candidate
        ? { ...options, num_experts: 1 }
        : options
    }) as fc.Arbitrary<ArchitectureOptions>
}

const randomSide = fc.constantFrom<Side>('context', 'candidate', 'cross')

/** One to three tasks, at least one field. */
export const randomShape: fc.Arbitrary<ModelShape> = fc
  .record({
    sparse: fc.array(randomSide, { maxLength: 4 }),
    dense: fc.array(randomSide, { maxLength: 4 }),
    ids: fc.integer({ min: 1, max: 40 }),
    tasks: fc.integer({ min: 1, max: 3 }).map((count) => ['ctr', 'cvr', 'pay'].slice(0, count)),
    seed: fc.nat(),
  })
  .filter(({ sparse, dense }) => sparse.length + dense.length > 0)
  .map(({ sparse, dense, ...shape }) => ({
    sparseFields: sparse.length,
    denseFields: dense.length,
    sides: { sparse, dense },
    ...shape,
  }))

/** An architecture and a model of it. */
export const randomArchitecture = randomShape.chain((shape) =>
  fc.record({ shape: fc.constant(shape), options: randomOptions(shape) }),
)

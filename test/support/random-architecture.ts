import fc from 'fast-check'
import type { TSchema } from '#typebox'
import type { ModelShape } from '../../src/model/architectures/layers.ts'
import { ArchitectureOptions } from '../../src/schemas/architecture.ts'

/** Small values of an option, by its schema and its name. */
function small(option: string, schema: TSchema): fc.Arbitrary<unknown> {
  const { type, const: only, anyOf } = schema as { type?: string; const?: unknown; anyOf?: { const: unknown }[] }
  if (only !== undefined) return fc.constant(only)
  if (anyOf !== undefined) return fc.constantFrom(...anyOf.map((choice) => choice.const))
  if (option.startsWith('num_hidden')) return fc.integer({ min: 1, max: 3 })
  if (option.startsWith('num_')) return fc.integer({ min: 1, max: 4 })
  if (option === 'dim_emb') return fc.integer({ min: 1, max: 5 })
  if (type === 'integer') return fc.integer({ min: 1, max: 9 })
  return option === 'embedding_l2' ? fc.constantFrom(0, 1e-4) : fc.constantFrom(0, 0.2)
}

/** Any architecture, small. */
export const randomOptions = fc.oneof(
  ...ArchitectureOptions.anyOf.map(({ properties, required }) => {
    const options = Object.entries(properties as Record<string, TSchema>)
    return fc.record(Object.fromEntries(options.map(([option, schema]) => [option, small(option, schema)])), {
      requiredKeys: [...required],
    })
  }),
) as fc.Arbitrary<ArchitectureOptions>

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

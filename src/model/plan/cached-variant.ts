import { planNames } from '../compile/sides/tensor-names.ts'
import type { LayerParts } from '../contracts/compiled-plan.ts'
import type { RowMemory } from './row-memory.ts'
import type { OpenVariant, Variant } from './variant.ts'

/** Adds the contexts' part of each layer to the cached part of the candidate, and computes the rest of the graph. */
export function createCachedVariant(
  contextEncoder: OpenVariant | undefined,
  cached: OpenVariant,
  layers: readonly LayerParts[],
  memory: RowMemory,
): Variant {
  return {
    context: [...(contextEncoder?.context ?? []), ...cached.context],
    rows: cached.rows,
    byRequest: contextEncoder !== undefined || cached.byRequest,
    mostRows: memory.mostRows,
    timedSlots: memory.timedSlots,
    cost: cached.cost,
    async run(batch, requests) {
      const contexts = await contextEncoder?.run(
        batch,
        requests.map(({ rows }) => ({ rows: rows.subarray(0, 1) })),
      )
      const sums = memory.add(
        requests.map(({ slots }) => slots!),
        (contexts?.[planNames.contexts]?.data as Float32Array | undefined) ?? new Float32Array(0),
      )
      const feeds = sums.map((data, layer) => {
        const { width } = layers[layer]!
        return { data, dims: [data.length / width, width] }
      })
      return cached.run(batch, requests, feeds)
    },
  }
}

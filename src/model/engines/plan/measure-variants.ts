import { scatter } from '../../../base/hash.ts'
import type { Batch, TakeTurn } from '../../contracts/engine.ts'
import type { LinearCost, RequestRows, TimedVariant } from './variant.ts'

/** Rows per request of each timed call. The costs of a row, a call, a joined request and its row follow from them. */
const measuredRequests = [[1], [128], new Array<number>(8).fill(16), new Array<number>(64).fill(2)] as const
/**
 * Calls of each variant per size: the cold ones compile JavaScript and fill caches; the fastest of the others counts.
 */
const coldCalls = 10
const timedCalls = 15
/** Longest time per variant and size, ms: slow graphs need fewer calls. */
const longest = 150

/**
 * Measures what a row, a call and a request cost in each variant on this machine, on rows of zeros with whole lists,
 * and with lists of one value where they are cut to their lengths.
 */
export async function measureVariants(variants: readonly TimedVariant[], takeTurn: TakeTurn): Promise<void> {
  const whole = await measure(variants, takeTurn, 'whole')
  const cutting = variants.filter(({ lists }) => lists.length > 0)
  const short = cutting.length === 0 ? [] : await measure(cutting, takeTurn, 'short')
  for (const [i, variant] of variants.entries()) {
    const ofShort = short[cutting.indexOf(variant)]
    variant.cost = { ...variant.cost, ...whole[i]!, ...(ofShort && { short: ofShort }) }
  }
}

/**
 * The variants take turns, so that other load affects all of them; each call waits for its turn. Cached candidates
 * differ from call to call, as those of clients do: reading the same ones again takes half as long.
 */
async function measure(
  variants: readonly TimedVariant[],
  takeTurn: TakeTurn,
  lists: 'whole' | 'short',
): Promise<LinearCost[]> {
  const best = variants.map(() => measuredRequests.map(() => Number.POSITIVE_INFINITY))
  for (const [size, counts] of measuredRequests.entries()) {
    const rows = counts.reduce((sum, count) => sum + count, 0)
    const batches = variants.map((variant) => zeros(variant, rows, lists))
    const started = performance.now()
    for (let call = 0; call < coldCalls + timedCalls; call++) {
      const last = performance.now() - started > longest * variants.length
      for (const [i, variant] of variants.entries()) {
        const joins = variant.byRequest && !variant.oneRequest
        if ((counts.length > 1 && !joins) || rows > variant.mostRows) continue
        const requests = requestsOf(counts, call * rows, variant.timedSlots)
        const microseconds = await takeTurn(async () => {
          const begun = performance.now()
          await variant.run(batches[i]!, requests)
          return (performance.now() - begun) * 1000
        })
        if (call >= coldCalls || last) best[i]![size] = Math.min(best[i]![size]!, microseconds)
      }
      if (last) break
    }
  }
  return variants.map((variant, i) => costFrom(best[i] as [number, number, number, number], variant))
}

/** The cost that follows from the times of `measuredRequests`, µs. */
function costFrom(
  [one, many, few, most]: [number, number, number, number],
  { byRequest, oneRequest }: Pick<TimedVariant, 'byRequest' | 'oneRequest'>,
): LinearCost {
  // Where 128 rows are too many for a call, only the calls of one row count.
  const a = Number.isFinite(many) ? Math.max(0, (many - one) / 127) : one
  const b = Math.max(0, one - a)
  if (!byRequest) return { a, b, joined: { a, b: 0 } }
  // Requests that share no call cost as much together.
  if (oneRequest || !Number.isFinite(many)) return { a, b, joined: { a, b } }
  // 8 requests: b + 128·joined.a + 7·joined.b; 64: b + 128·joined.a + 63·joined.b.
  const request = Math.max(0, (most - few) / 56)
  return { a, b, joined: { a: Math.max(a, (few - b - 7 * request) / 128), b: request } }
}

type Inputs = Pick<TimedVariant, 'context' | 'rows' | 'lists'>

/** Requests with these numbers of rows; candidates from number `first` on are in slots here and there. */
function requestsOf(counts: readonly number[], first: number, slots = 1): RequestRows[] {
  let start = 0
  return counts.map((count) => {
    start += count
    const rows = Int32Array.from({ length: count }, (_, i) => start - count + i)
    return { rows, slots: rows.map((row) => scatter(first + row) % slots) }
  })
}

/** A batch of zeros with every input of a variant, and with values in all places of lists, or in the first. */
export function zeros(
  { context, rows: perRow, lists }: Inputs,
  rows: number,
  length: 'whole' | 'short' = 'whole',
): Batch {
  const inputs: Batch['inputs'] = {}
  for (const { input, width, type } of [...context, ...perRow]) {
    const size = rows * Math.max(width, (inputs[input]?.length ?? 0) / rows)
    inputs[input] = type === 'float32' ? new Float32Array(size) : new Int32Array(size)
  }
  for (const { members } of lists)
    for (const { input, columns, padding } of members) {
      const values = inputs[input]!
      const width = values.length / rows
      const value = padding === 0 ? 1 : 0
      for (let row = 0; row < rows; row++)
        for (const [place, column] of columns.entries())
          values[row * width + column] = place === 0 || length === 'whole' ? value : padding
    }
  return { rows, inputs }
}

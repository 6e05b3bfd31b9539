import type { Batch } from '../contracts/engine.ts'
import type { RequestRows, Variant } from './variant.ts'

/** Rows of the requests of each call that is timed: what a row, a call, a joined request and its row cost follows from them. */
const measuredRequests = [[1], [128], new Array<number>(8).fill(16), new Array<number>(64).fill(2)] as const
/** Calls of each way at each: the first ones compile JavaScript and fill caches, the fastest of the others counts. */
const coldCalls = 10
const timedCalls = 15
/** Of slow graphs fewer calls tell enough, ms. */
const longest = 150

/**
 * Learns what a row, a call and a request cost in each way here, by running them on zeros, in turns: whatever else the
 * machine does meanwhile, it does to all.
 */
export async function measureWays(ways: readonly Variant[]): Promise<void> {
  const best = ways.map(() => measuredRequests.map(() => Number.POSITIVE_INFINITY))
  for (const [size, counts] of measuredRequests.entries()) {
    const requests = requestsOf(counts)
    const rows = counts.reduce((sum, count) => sum + count, 0)
    const batches = ways.map((way) => zeros(way, rows))
    const started = performance.now()
    for (let call = 0; call < coldCalls + timedCalls; call++) {
      const last = performance.now() - started > longest * ways.length
      for (const [i, way] of ways.entries()) {
        if ((counts.length > 1 && !way.byRequest) || rows > way.mostRows) continue
        const begun = performance.now()
        await way.run(batches[i]!, requests)
        const microseconds = (performance.now() - begun) * 1000
        if (call >= coldCalls || last) best[i]![size] = Math.min(best[i]![size]!, microseconds)
      }
      if (last) break
    }
  }
  for (const [i, way] of ways.entries()) {
    const [one, many, few, most] = best[i] as [number, number, number, number]
    // Where so many rows are too many, the calls that there are count.
    const a = Number.isFinite(many) ? Math.max(0, (many - one) / 127) : one
    const b = Math.max(0, one - a)
    way.cost = { a, b, joined: { a, b: 0 } }
    if (!way.byRequest) continue
    // 8 requests: b + 128·joined.a + 7·joined.b; 64: b + 128·joined.a + 63·joined.b.
    const request = Math.max(0, (most - few) / 56)
    way.cost.joined = Number.isFinite(many) ? { a: Math.max(a, (few - b - 7 * request) / 128), b: request } : { a, b }
  }
}

function requestsOf(counts: readonly number[]): RequestRows[] {
  let start = 0
  return counts.map((count) => {
    start += count
    const rows = Int32Array.from({ length: count }, (_, i) => start - count + i)
    return { rows, slots: new Int32Array(count) }
  })
}

/** A batch of zeros with every input of a way. */
function zeros({ context, rows: perRow }: Variant, rows: number): Batch {
  const inputs: Batch['inputs'] = {}
  for (const { input, width, type } of [...context, ...perRow]) {
    const size = rows * Math.max(width, (inputs[input]?.length ?? 0) / rows)
    inputs[input] = type === 'float32' ? new Float32Array(size) : new Int32Array(size)
  }
  return { rows, inputs }
}

import { dispose } from '../bench/bench.ts'
import { type Measurement, measure } from '../bench/measure.ts'
import type { Target } from '../bench/target.ts'
import { prepareInThread } from '../model/compile/prepare-in-thread.ts'
import { createOnnxEngine } from '../model/engines/onnx/onnx.ts'

/** The cost of an engine call for one request: `call` + `row` · rows, µs. */
export interface EngineCost {
  requests: Measurement['requests']
  /** The graph variant that computes it: the cheapest of the plan. */
  variant: Measurement['variant']
  call: number
  row: number
  /** A call of the requests' candidates, µs. */
  request: number
}

export interface EngineCostOptions {
  target: Target
  candidates: number
  /** Folder of compiled plans. */
  cache: string | undefined
  /** Time to measure each variant and number of rows, s. */
  seconds: number
  random: () => number
  signal: AbortSignal
}

/** Rows of the second measurement for requests with one candidate. */
const moreRows = 32

/** Measures the served graph alone, in this process: for requests with new and with cached candidates. */
export async function measureEngine(options: EngineCostOptions): Promise<EngineCost[]> {
  const { target, candidates, cache, seconds, random, signal } = options
  const prepared = await prepareInThread({ ...target.request, cache, now: Date.now() })
  try {
    const { plan } = prepared
    const engine = await createOnnxEngine({ threads: 1 })
    const plans = plan && {
      float32: { ...plan, precision: 'float32' as const },
      ...(plan.precision !== 'float32' && { [plan.precision]: plan }),
    }
    const at = (rows: number) => {
      const shape = { rows, requests: 1 }
      return measure({ target, plans, engine, shape, seconds, random, now: () => performance.now(), signal })
    }
    const one = await at(1)
    const many = await at(Math.max(candidates, candidates === 1 ? moreRows : 2))
    const served = plan?.precision ?? 'exported'
    return many.filter(({ plan }) => plan === served).map((measured) => costOf(measured, one, candidates))
  } finally {
    await dispose(prepared)
  }
}

function costOf(
  { plan, requests, variant, rows, microseconds }: Measurement,
  one: Measurement[],
  candidates: number,
): EngineCost {
  // Contexts per row need more than one row.
  const kind = requests === 'context per row' ? 'any' : requests
  const single = one.find((measured) => measured.plan === plan && measured.requests === kind)!.microseconds
  const row = Math.max(0, (microseconds - single) / (rows - 1))
  const call = Math.max(0, single - row)
  return { requests, variant, call, row, request: call + row * candidates }
}

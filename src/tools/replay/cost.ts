import type { Predictor } from '../evaluate/predictor.ts'
import { quantile } from '../load/open-loop.ts'
import type { ReplayedRequest } from './replay.ts'

/** Requests that warm up. */
const warming = 20
/** No further request is timed after this time, ms. */
const patience = 10_000

/** The time that a version takes, alone on this machine, a request at a time. */
export interface Cost {
  version: string
  requests: number
  /** Per request, ms. */
  p50_ms: number
  p99_ms: number
  /** Processor time of all threads per candidate, µs. */
  processor_us: number
}

/**
 * Times versions on the same requests, which take turns: request by request, so that what else the machine does meets
 * all alike.
 */
export async function measureCost(
  versions: readonly Predictor[],
  requests: readonly ReplayedRequest[],
  signal: AbortSignal,
): Promise<Cost[]> {
  const found = versions.map(() => ({ times: [] as number[], processor: 0, rows: 0 }))
  const until = performance.now() + patience
  for (const [place, request] of [...requests.slice(0, warming), ...requests].entries()) {
    if (performance.now() > until) break
    for (const [i, { fields, mostRows, predict }] of versions.entries()) {
      signal.throwIfAborted()
      if (request.rows > mostRows || fields.some(({ name }) => request.values[name] === undefined)) continue
      const columns = Object.fromEntries(fields.map(({ name }) => [name, request.values[name]!]))
      const [start, used] = [performance.now(), process.cpuUsage()]
      await predict(columns)
      const { user, system } = process.cpuUsage(used)
      if (place < warming) continue
      found[i]!.times.push(performance.now() - start)
      found[i]!.processor += user + system
      found[i]!.rows += request.rows
    }
  }
  return versions.flatMap(({ model }, i): Cost[] => {
    const { times, processor, rows } = found[i]!
    if (times.length === 0) return []
    const [p50_ms, p99_ms] = [quantile(times, 0.5), quantile(times, 0.99)]
    return [
      {
        version: `${model.name}/${model.version}`,
        requests: times.length,
        p50_ms,
        p99_ms,
        processor_us: processor / rows,
      },
    ]
  })
}

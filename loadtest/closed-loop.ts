import autocannon from 'autocannon'
import { median } from '../src/base/arrays.ts'
import { quantiles } from '../src/tools/load/open-loop.ts'
import { inTurns } from './experiment.ts'
import type { RequestContent } from './request-file.ts'
import type { Target } from './targets.ts'

/** One run against one target, or the medians of several runs. */
export interface ClosedLoopResult {
  requestsPerSecond: number
  /** Latency of answers, ms. */
  p50: number
  p99: number
  p999: number
  /** Server CPU time per request, ms. */
  cpuMs: number
  /** Answers with a status other than 200, and broken connections. */
  errors: number
}

export interface Load {
  /** JSON for the target, or requests with their own headers. */
  bodies: readonly (string | RequestContent)[]
  connections: number
  seconds: number
}

/**
 * Keeps every connection busy: each sends its next request when it receives an answer. Each has its own share of the
 * bodies.
 */
export async function runClosedLoop(
  url: URL,
  { bodies, connections, seconds }: Load,
): Promise<Omit<ClosedLoopResult, 'cpuMs'> & { answers: number }> {
  const latencies: number[] = []
  const share = Math.max(1, Math.floor(bodies.length / connections))
  let client = 0
  const options = {
    url: url.href,
    method: 'POST' as const,
    headers: { 'content-type': 'application/json' },
    connections,
    duration: seconds,
    // The run ends with a sample of the throughput, ms.
    sampleInt: 100,
    setupClient: (connection: autocannon.Client) => {
      const first = (client++ * share) % bodies.length
      connection.setRequests(
        bodies.slice(first, first + share).map((body) => (typeof body === 'string' ? { body } : body)),
      )
    },
  }
  const started = performance.now()
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const run = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)))
    run.on('response', (_client, status, _bytes, time) => {
      if (status === 200) latencies.push(time)
    })
  })
  const took = (performance.now() - started) / 1000
  const { p50, p99, p999 } = quantiles(latencies)
  const answers = latencies.length
  return { answers, requestsPerSecond: answers / took, p50, p99, p999, errors: result.non2xx + result.errors }
}

/**
 * Compares targets under the same load, in alternating runs, so that other work on the machine affects all of them
 * equally.
 */
export async function compareTargets(
  targets: readonly Target[],
  loadOf: (target: Target) => Load,
  repeats: number,
  onRun: (target: Target, repeat: number, result: ClosedLoopResult) => void,
): Promise<ClosedLoopResult[]> {
  for (const target of targets) {
    const load = loadOf(target)
    await runClosedLoop(target.url, { ...load, seconds: Math.min(1, load.seconds / 2) })
  }
  const runs = await inTurns(targets, repeats, async (target, repeat) => {
    const before = await target.cpuSeconds()
    const { answers, ...run } = await runClosedLoop(target.url, loadOf(target))
    const result = { ...run, cpuMs: (((await target.cpuSeconds()) - before) / answers) * 1000 }
    onRun(target, repeat, result)
    return result
  })
  return runs.map(medians)
}

function medians(runs: ClosedLoopResult[]): ClosedLoopResult {
  const keys = ['requestsPerSecond', 'p50', 'p99', 'p999', 'cpuMs'] as const
  return { ...mediansOf(runs, keys), errors: runs.reduce((sum, run) => sum + run.errors, 0) }
}

/** The medians of some figures of several runs. */
export function mediansOf<K extends string>(
  runs: readonly Readonly<Record<K, number>>[],
  keys: readonly K[],
): Record<K, number> {
  const medians = keys.map((key) => [key, median(runs.map((run) => run[key]))])
  return Object.fromEntries(medians) as Record<K, number>
}

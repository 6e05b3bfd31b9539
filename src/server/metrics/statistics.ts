import { valueFor } from '../../base/maps.ts'
import type { BatchObserver } from '../../model/serving/batching/submission.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { InferDuration, InferStatistics } from '../../schemas/infer-model.ts'
import type { EndedPrediction } from './request-metrics.ts'
import { versionKey } from './version-counts.ts'

/**
 * Counts what each version does as clients of Triton ask for it: like the metrics, but by outcome and by the rows of a
 * call, and per request where Triton counts so. A version's counts restart when it is loaded again.
 */
export interface Statistics {
  /** Counts a request that reached a version. */
  ended(request: EndedPrediction): void
  batchObserver(name: string, version: string): Required<Pick<BatchObserver, 'waited' | 'computed'>>
  forget(name: string, version: string): void
  /** The statistics of this version; zeros where it has done nothing. */
  of(name: string, version: string): InferStatistics
}

/** Calls of up to this many rows are counted by their exact number. */
const exactRows = 256

/** `now`: ms since 1970. */
export function createStatistics(now: () => number = Date.now): Statistics {
  const versions = new Map<string, Counts>()
  const known = new WeakMap<LoadedModel, Counts>()

  function counts(name: string, version: string): Counts {
    return valueFor(versions, versionKey({ model: name, version }), () => new Counts())
  }
  /** A version that answers its last requests after it was forgotten must not come back. */
  function countsOf(model: LoadedModel): Counts {
    return valueFor(known, model, () => counts(model.manifest.name, model.manifest.version))
  }

  return {
    ended({ model, outcome, seconds, accepted, table, writeSeconds }) {
      if (model === undefined) return
      const found = countsOf(model)
      found.lastInference = now()
      add(outcome === 'ok' ? found.success : found.fail, seconds)
      if (accepted !== undefined) add(found.encode, accepted.encodeSeconds)
      if (table !== undefined) found.rows += table.requested
      if (writeSeconds !== undefined) add(found.write, writeSeconds)
    },
    batchObserver(name, version) {
      const found = counts(name, version)
      return {
        waited: (seconds) => add(found.queue, seconds),
        computed(rows, seconds, requests) {
          add(found.infer, seconds, requests)
          const size = rows <= exactRows ? rows : 2 ** Math.ceil(Math.log2(rows))
          add(valueFor(found.calls, size, none), seconds)
        },
      }
    },
    forget: (name, version) => versions.delete(versionKey({ model: name, version })),
    of: (name, version) => (versions.get(versionKey({ model: name, version })) ?? new Counts()).report(name, version),
  }
}

/** The sum of what several processes have counted of one version. */
export function sumStatistics(all: readonly InferStatistics[]): InferStatistics[] {
  const sums = new Map<string, InferStatistics>()
  for (const one of all) {
    const key = `${one.name}/${one.version}`
    const sum = sums.get(key)
    if (sum === undefined) sums.set(key, structuredClone(one))
    else addReport(sum, one)
  }
  return [...sums.values()]
}

function addReport(sum: InferStatistics, one: InferStatistics): void {
  sum.last_inference = Math.max(sum.last_inference, one.last_inference)
  sum.inference_count += one.inference_count
  sum.execution_count += one.execution_count
  for (const [name, duration] of Object.entries(one.inference_stats))
    addDuration(sum.inference_stats[name as keyof InferStatistics['inference_stats']], duration)
  for (const batch of one.batch_stats) {
    const same = sum.batch_stats.find(({ batch_size }) => batch_size === batch.batch_size)
    if (same === undefined) sum.batch_stats.push(structuredClone(batch))
    else addDuration(same.compute_infer, batch.compute_infer)
  }
  sum.batch_stats.sort((a, b) => a.batch_size - b.batch_size)
}

function addDuration(sum: InferDuration, { count, ns }: InferDuration): void {
  sum.count += count
  sum.ns += ns
}

interface Duration {
  count: number
  seconds: number
}

/** `times` requests took so long, each. */
function add(duration: Duration, seconds: number, times = 1): void {
  duration.count += times
  duration.seconds += times * seconds
}

const none = (): Duration => ({ count: 0, seconds: 0 })

class Counts {
  lastInference = 0
  rows = 0
  readonly success = none()
  readonly fail = none()
  readonly queue = none()
  readonly encode = none()
  /** Per request: a call counts for each that has rows in it. */
  readonly infer = none()
  readonly write = none()
  /** Engine calls by their rows. */
  readonly calls = new Map<number, Duration>()

  report(name: string, version: string): InferStatistics {
    const calls = [...this.calls].sort(([a], [b]) => a - b)
    return {
      name,
      version,
      last_inference: Math.trunc(this.lastInference),
      inference_count: this.rows,
      execution_count: calls.reduce((sum, [, { count }]) => sum + count, 0),
      inference_stats: {
        success: inNs(this.success),
        fail: inNs(this.fail),
        queue: inNs(this.queue),
        compute_input: inNs(this.encode),
        compute_infer: inNs(this.infer),
        compute_output: inNs(this.write),
        cache_hit: inNs(none()),
      },
      // Tensors are made and taken apart once a request, not once a call.
      batch_stats: calls.map(([rows, duration]) => ({
        batch_size: rows,
        compute_input: inNs(none()),
        compute_infer: inNs(duration),
        compute_output: inNs(none()),
      })),
    }
  }
}

function inNs({ count, seconds }: Duration): InferDuration {
  return { count, ns: Math.round(seconds * 1e9) }
}

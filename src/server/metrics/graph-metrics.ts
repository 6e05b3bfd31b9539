import type { Registry } from 'prom-client'
import type { GraphMemory, GraphStats } from '../../model/contracts/engine.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import { createReadMetrics, type Series, seriesOf, type Versions } from './read-metrics.ts'

/** Metrics of compiled plans, requested from the worker threads once per scrape. */
export function registerGraphMetrics(registry: Registry, versions: Versions): void {
  const { gauge, counter } = createReadMetrics(registry)
  let asking: ReturnType<typeof askWorkers> | undefined
  const ask = () => {
    asking ??= askWorkers(versions()).finally(() => {
      asking = undefined
    })
    return asking
  }
  const ofGraphs = (read: (stats: GraphStats) => number | undefined) => async (): Promise<Series[]> =>
    (await ask()).flatMap(({ labels, stats }) => {
      const value = read(stats)
      return value === undefined ? [] : [[labels, value]]
    })
  /** `read`: values by the name of a part. */
  const ofParts = (label: string, read: (stats: GraphStats) => object) => async (): Promise<Series[]> =>
    (await ask()).flatMap(({ labels, stats }) =>
      Object.entries(read(stats)).map(([part, value]): Series => [{ ...labels, [label]: part }, value]),
    )
  const ofVersions = seriesOf(versions)

  counter(
    'multigate_candidate_cache_hits_total',
    'Candidates found in the cache',
    ofGraphs(({ cache }) => cache.hits),
  )
  counter(
    'multigate_candidate_cache_misses_total',
    'Candidates not found in the cache',
    ofGraphs(({ cache }) => cache.misses),
  )
  counter(
    'multigate_candidate_cache_evictions_total',
    'Candidates evicted from the cache',
    ofGraphs(({ cache }) => cache.evictions),
  )
  gauge(
    'multigate_candidate_cache_bytes',
    'Bytes of cached candidates, all workers',
    ofGraphs(({ cache }) => cache.bytes),
  )
  gauge(
    'multigate_candidate_cache_entries',
    'Cached candidates, all workers',
    ofGraphs(({ cache }) => cache.entries),
  )
  counter(
    'multigate_catalogue_hits_total',
    'Candidates not found in the cache whose parts came from the catalogue',
    ofGraphs(({ catalogue }) => catalogue?.hits),
  )
  gauge(
    'multigate_catalogue_rows',
    'Candidates in the catalogue, which all processes share',
    ofGraphs(({ catalogue }) => catalogue?.rows),
    'max',
  )
  gauge(
    'multigate_resident_bytes',
    'Memory of a version, by part: weights (as saved) and variants (compiled), of all workers; cache (candidates); tables and catalogue (mapped files)',
    ofParts('part', residentBytes),
  )
  counter(
    'multigate_plan_rows_total',
    'Rows computed, by plan: exported (as saved), full (compiled), shared_context (context once per request), cached (candidates cached)',
    ofParts('plan', ({ rows }) => rows),
  )
  gauge(
    'multigate_plan_unstored',
    "1 if a version's compiled plan could not be stored in the cache, as on a full disk: each start compiles it again, or the graph runs as it was saved",
    ofVersions(({ plan }) => Number(plan.unstored !== undefined)),
    'max',
  )
  gauge(
    'multigate_precision_fallback',
    '1 if a version requests bfloat16, int8 or narrow tables but is served in float32 or with float32 tables, because they failed their check or could not be computed',
    ofVersions((model) => Number(fellBack(model))),
    'max',
  )
}

function fellBack({ manifest: { precision, tables = 'float32' }, plan }: LoadedModel): boolean {
  // float32 that is served because it is as fast is no failure.
  const failed = precision !== 'auto' && precision !== plan.precision && plan.verdict?.passed !== true
  return failed || tables !== plan.tables
}

/** Bytes that a version keeps, by part; `catalogue` where it has one. */
export function residentBytes({
  memory,
  cache,
  catalogue,
}: GraphStats): GraphMemory & { cache: number; catalogue?: number } {
  return { ...memory, cache: cache.bytes, ...(catalogue && { catalogue: catalogue.bytes }) }
}

/** Asks the workers what they have done and keep, for every version whose engine counts. */
async function askWorkers(
  versions: ReturnType<Versions>,
): Promise<{ labels: { model: string; version: string }; stats: GraphStats }[]> {
  const all = await Promise.all(
    versions.map(async ({ name, version, model }) => ({
      labels: { model: name, version },
      stats: await model.graphStats().catch(() => undefined),
    })),
  )
  return all.flatMap(({ labels, stats }) => (stats === undefined ? [] : [{ labels, stats }]))
}

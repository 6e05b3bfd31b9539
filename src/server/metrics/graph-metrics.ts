import { Counter, Gauge, type Registry } from 'prom-client'
import type { GraphMemory, GraphStats } from '../../model/contracts/engine.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { MetricsSources } from './connection-metrics.ts'

const model = ['model', 'version']

/** Metrics of compiled plans, requested from the worker threads once per scrape. */
export function registerGraphMetrics(registry: Registry, models: MetricsSources['models']): void {
  const registers = [registry]
  let asking: ReturnType<typeof askWorkers> | undefined
  const ask = () => {
    asking ??= askWorkers(models()).finally(() => {
      asking = undefined
    })
    return asking
  }
  const settings = (name: string, help: string, read: (stats: GraphStats) => number) => ({
    name,
    help,
    labelNames: model,
    registers,
    async collect(this: Counter | Gauge) {
      const all = await ask()
      this.reset()
      for (const { labels, stats } of all) this.inc(labels, read(stats))
    },
  })
  const counter = (...all: Parameters<typeof settings>) => new Counter(settings(...all))
  const gauge = (...all: Parameters<typeof settings>) => new Gauge(settings(...all))

  counter('multigate_candidate_cache_hits_total', 'Candidates found in the cache', ({ cache }) => cache.hits)
  counter('multigate_candidate_cache_misses_total', 'Candidates not found in the cache', ({ cache }) => cache.misses)
  counter(
    'multigate_candidate_cache_evictions_total',
    'Candidates evicted from the cache',
    ({ cache }) => cache.evictions,
  )
  gauge('multigate_candidate_cache_bytes', 'Bytes of cached candidates, all workers', ({ cache }) => cache.bytes)
  gauge('multigate_candidate_cache_entries', 'Cached candidates, all workers', ({ cache }) => cache.entries)
  registerCatalogueMetrics(registers, ask)
  new Gauge({
    name: 'multigate_resident_bytes',
    help: 'Memory of a version, by part: weights (as saved) and variants (compiled), of all workers; cache (candidates); tables and catalogue (mapped files)',
    labelNames: [...model, 'part'],
    registers,
    async collect() {
      const all = await ask()
      this.reset()
      for (const { labels, stats } of all)
        for (const [part, bytes] of Object.entries(residentBytes(stats))) this.set({ ...labels, part }, bytes)
    },
  })
  new Counter({
    name: 'multigate_plan_rows_total',
    help: 'Rows computed, by plan: exported (as saved), full (compiled), shared_context (context once per request), cached (candidates cached)',
    labelNames: [...model, 'plan'],
    registers,
    async collect() {
      const all = await ask()
      this.reset()
      for (const { labels, stats } of all)
        for (const [plan, rows] of Object.entries(stats.rows)) this.inc({ ...labels, plan }, rows)
    },
  })
  new Gauge({
    name: 'multigate_plan_unstored',
    help: "1 if a version's compiled plan could not be stored in the cache, as on a full disk: each start compiles it again, or the graph runs as it was saved",
    labelNames: model,
    registers,
    aggregator: 'max',
    collect() {
      this.reset()
      for (const { name, version, model } of models())
        this.set({ model: name, version }, Number(model.plan.unstored !== undefined))
    },
  })
  new Gauge({
    name: 'multigate_precision_fallback',
    help: '1 if a version requests bfloat16, int8 or narrow tables but is served in float32 or with float32 tables, because they failed their check or could not be computed',
    labelNames: model,
    registers,
    aggregator: 'max',
    collect() {
      this.reset()
      for (const { name, version, model } of models()) this.set({ model: name, version }, Number(fellBack(model)))
    },
  })
}

function fellBack({ manifest: { precision, tables = 'float32' }, plan }: LoadedModel): boolean {
  return (precision !== 'auto' && precision !== plan.precision) || tables !== plan.tables
}

/** Series of versions that have a catalogue alone. */
function registerCatalogueMetrics(registers: Registry[], ask: () => ReturnType<typeof askWorkers>): void {
  new Counter({
    name: 'multigate_catalogue_hits_total',
    help: 'Candidates not found in the cache whose parts came from the catalogue',
    labelNames: model,
    registers,
    async collect() {
      const all = await ask()
      this.reset()
      for (const { labels, stats } of all) if (stats.catalogue) this.inc(labels, stats.catalogue.hits)
    },
  })
  new Gauge({
    name: 'multigate_catalogue_rows',
    help: 'Candidates in the catalogue, which all processes share',
    labelNames: model,
    registers,
    aggregator: 'max',
    async collect() {
      const all = await ask()
      this.reset()
      for (const { labels, stats } of all) if (stats.catalogue) this.set(labels, stats.catalogue.rows)
    },
  })
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
  models: ReturnType<MetricsSources['models']>,
): Promise<{ labels: { model: string; version: string }; stats: GraphStats }[]> {
  const all = await Promise.all(
    models.map(async ({ name, version, model }) => ({
      labels: { model: name, version },
      stats: await model.graphStats().catch(() => undefined),
    })),
  )
  return all.flatMap(({ labels, stats }) => (stats === undefined ? [] : [{ labels, stats }]))
}

/** A request of a histogram's bucket whose trace is kept. */
interface Exemplar {
  traceId: string
  /** The observed value. */
  value: number
  /** Seconds since 1970. */
  time: number
}

interface Version {
  name: string
  version: string
}

/**
 * The last trace of each bucket of a histogram, by model and version. Where traces are on, metrics are served as
 * OpenMetrics, which has a place for them.
 */
export class Exemplars {
  readonly #metric: string
  readonly #buckets: readonly number[]
  /** By the labels of a bucket's series. */
  readonly #last = new Map<string, Exemplar>()

  /** `metric`: the histogram's name; `buckets`: its upper bounds, rising. */
  constructor(metric: string, buckets: readonly number[]) {
    this.#metric = metric
    this.#buckets = buckets
  }

  /** A request to the version, if it named one that is served. */
  add(version: Version | undefined, value: number, traceId: string): void {
    const bucket = this.#buckets.find((bound) => value <= bound) ?? '+Inf'
    const labels = `le="${bucket}",model="${version?.name ?? ''}",version="${version?.version ?? ''}"`
    this.#last.set(labels, { traceId, value, time: Date.now() / 1000 })
  }

  forget(name: string, version: string): void {
    const end = `,model="${name}",version="${version}"`
    for (const labels of this.#last.keys()) if (labels.endsWith(end)) this.#last.delete(labels)
  }

  /** Metrics in the Prometheus text format 0.0.4 as OpenMetrics 1.0.0, with the exemplars. */
  toOpenMetrics(text: string): string {
    const counters = new Set([...text.matchAll(/^# TYPE (\S+)_total counter$/gm)].map(([, name]) => name!))
    const lines = text.split('\n').flatMap((line) => {
      if (line === '') return []
      const [, kind, name] = /^# (HELP|TYPE) (\S+)_total /.exec(line) ?? []
      // The family of a counter has the name without `_total`.
      if (name !== undefined && counters.has(name))
        return [line.replace(`# ${kind} ${name}_total`, `# ${kind} ${name}`)]
      return [this.#withExemplar(line)]
    })
    return `${lines.join('\n')}\n# EOF\n`
  }

  #withExemplar(line: string): string {
    const start = `${this.#metric}_bucket{`
    if (!line.startsWith(start)) return line
    const exemplar = this.#last.get(line.slice(start.length, line.indexOf('}')))
    if (exemplar === undefined) return line
    return `${line} # {trace_id="${exemplar.traceId}"} ${exemplar.value} ${exemplar.time}`
  }
}

/** Type of OpenMetrics 1.0.0. */
export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Whether a client that sent this `Accept` header reads OpenMetrics. */
export function acceptsOpenMetrics(accept: string | undefined): boolean {
  const types = accept?.split(',') ?? []
  return types.some(
    (type) => /^\s*application\/openmetrics-text\b/.test(type) && !/;\s*q=0(?:\.0*)?\s*(?:;|$)/.test(type),
  )
}

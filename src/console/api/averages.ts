import { median } from '../../base/arrays.ts'
import type { LiveClient, LiveModel, LiveStages, LiveSample as Sample } from '../../schemas/live-figures.ts'

type Quantiles = LiveStages['total']
type Rates = Record<string, number>

/** Seconds over which rates are averaged: those of one second flicker. */
export const averaged = 10

/** Those without requests stay in their list for this time, ms: else they would come and go. */
const idleShown = 30_000

/**
 * A list of what had requests, with its rates over the last seconds. `read` averages what one of them did in those
 * seconds; of `seconds`, those in which it did nothing are left out. `idle`: what one has that did nothing at all,
 * beside no requests and no candidates.
 */
function createList<T extends { requests: number }>(
  nameOf: (one: T) => string,
  read: (did: T[], seconds: number) => T,
  idle: Partial<T>,
): (second: readonly T[]) => T[] {
  const seconds: Map<string, T>[] = []
  const used = new Map<string, { at: number; one: T }>()
  return (second) => {
    const now = Date.now()
    seconds.push(new Map(second.map((one) => [nameOf(one), one])))
    if (seconds.length > averaged) seconds.shift()
    for (const one of second) used.set(nameOf(one), { at: now, one })
    for (const [name, { at }] of used) if (now - at >= idleShown) used.delete(name)
    return [...used]
      .map(([name, { one }]) => {
        const did = seconds.flatMap((list) => list.get(name) ?? [])
        return did.length === 0 ? { ...one, requests: 0, candidates: 0, ...idle } : read(did, seconds.length)
      })
      .sort((a, b) => b.requests - a.requests)
  }
}

export const createModelList = () =>
  createList<LiveModel>(
    ({ model, version }) => `${model}/${version}`,
    (did, seconds) => {
      return {
        ...did.at(-1)!,
        ...means(did, ['requests', 'ok', 'candidates'], seconds),
        failed: meanRates(did, ({ failed }) => failed, seconds),
        shed: meanRates(did, ({ shed }) => shed, seconds),
        total: quantilesOf(did.map(({ total }) => total)),
      }
    },
    { ok: 0, failed: {}, shed: {}, total: null, queue_rows: 0, wait_ms: 0 },
  )

export const createClientList = () =>
  createList<LiveClient>(
    ({ client }) => client,
    (did, seconds) => ({ ...did.at(-1)!, ...means(did, ['requests', 'candidates', 'failed'], seconds) }),
    { failed: 0 },
  )

const means = <Name extends string>(did: readonly Record<Name, number>[], names: readonly Name[], seconds: number) =>
  Object.fromEntries(names.map((name) => [name, mean(did, (one) => one[name], seconds)])) as Record<Name, number>

/** The service over the last seconds. */
export interface Averages {
  requests: number
  candidates: number
  /** Share of the requests; undefined without any. */
  goodput: number | undefined
  total: Quantiles
  saturation: number
  cores: number
}

/** `samples`: by the second, or the last one of ten seconds. */
export function averagesOf(samples: readonly Sample[]): Averages {
  const newest = samples.at(-1)!
  const last = samples.filter(({ at }) => at > newest.at - 1000 * averaged)
  const requests = mean(last, ({ requests }) => requests)
  return {
    requests,
    candidates: mean(last, ({ candidates }) => candidates),
    goodput: requests > 0 ? mean(last, ({ ok }) => ok) / requests : undefined,
    total: quantilesOf(last.map(({ stages }) => stages.total)),
    saturation: Math.max(...last.map(({ saturation }) => saturation)),
    cores: mean(last, ({ cores }) => cores),
  }
}

/** Quantiles of several seconds: the second in the middle for p50, the worst one for the others. */
function quantilesOf(all: readonly Quantiles[]): Quantiles {
  const found = all.filter((quantiles) => quantiles !== null)
  if (found.length === 0) return null
  return {
    p50: median(found.map(({ p50 }) => p50)),
    p95: Math.max(...found.map(({ p95 }) => p95)),
    p99: Math.max(...found.map(({ p99 }) => p99)),
  }
}

/** Rates by name, averaged over these seconds. */
export function meanRates<T>(all: readonly T[], read: (one: T) => Rates, seconds = all.length): Rates {
  const sums: Rates = {}
  for (const one of all)
    for (const [name, rate] of Object.entries(read(one))) sums[name] = (sums[name] ?? 0) + rate / seconds
  return sums
}

export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/** 0 over no seconds. */
export function mean<T>(all: readonly T[], read: (one: T) => number, seconds = all.length): number {
  return total(all.map(read)) / Math.max(1, seconds)
}

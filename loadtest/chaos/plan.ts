import { createRandom } from '../../src/tools/data/random.ts'
import { poissonSchedule } from '../../src/tools/load/open-loop.ts'

/** The faults that can happen to the server, in the order of the report. */
export const faultKinds = [
  'swap',
  'burst',
  'hostile clients',
  'killed thread',
  'killed process',
  'frozen process',
  'full plan cache',
  'full log disk',
  'clock jump',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** The ways in which a version takes over. */
export const swapWays = ['appears', 'loaded', 'pinned', 'reloaded'] as const
export type SwapWay = (typeof swapWays)[number]

export interface PlannedFault {
  kind: FaultKind
  /** Seconds from the start of the load. */
  at: number
  /** How long it lasts, s; 0 where it ends by itself. */
  seconds: number
  /** Uniform in [0, 1): what else is to be drawn for it. */
  draw: number
  /** The way of a swap. */
  way?: SwapWay
}

/** How often each happens, apart from swaps, and how long it lasts, s. */
const rates: Record<Exclude<FaultKind, 'swap'>, { perMinute: number; seconds: number }> = {
  burst: { perMinute: 2, seconds: 4 },
  'hostile clients': { perMinute: 1.5, seconds: 8 },
  'killed thread': { perMinute: 1.5, seconds: 0 },
  'killed process': { perMinute: 1, seconds: 0 },
  'frozen process': { perMinute: 1, seconds: 1 },
  'full plan cache': { perMinute: 0.7, seconds: 12 },
  'full log disk': { perMinute: 0.7, seconds: 6 },
  'clock jump': { perMinute: 1, seconds: 5 },
}

/** Parts of the run in which nothing happens: what the service does without faults has to be seen, too. */
const quiet = { before: 0.06, after: 0.08 }

/**
 * Draws what happens, and when, in the order of time: the same for the same seed. Faults of one kind are spread over
 * the run, each at a random time of its share; those of different kinds may meet.
 */
export function planFaults(seconds: number, swaps: number, seed: number): PlannedFault[] {
  const random = createRandom(seed)
  const first = seconds * quiet.before
  const span = seconds * (1 - quiet.before - quiet.after)
  const faults = faultKinds.flatMap((kind) => {
    const { perMinute, seconds: length } = kind === 'swap' ? { perMinute: 0, seconds: 0 } : rates[kind]
    const count = kind === 'swap' ? swaps : Math.max(1, Math.round((perMinute * seconds) / 60))
    const share = span / count
    const lasts = Math.min(length, share * 0.6)
    return Array.from({ length: count }, (_, i): PlannedFault => {
      const at = first + share * i + random.uniform() * Math.max(0, share * 0.9 - lasts)
      const fault = { kind, at, seconds: lasts, draw: random.uniform() }
      return kind === 'swap' ? { ...fault, way: swapWays[i % swapWays.length]! } : fault
    })
  })
  return faults.sort((a, b) => a.at - b.at)
}

/** How much faster requests come in a burst. */
export const burstFactor = 3

/**
 * Times of requests, ms from the start, ascending: a Poisson process of `rate` per second, three times as fast in
 * bursts.
 */
export function planArrivals(
  rate: number,
  seconds: number,
  faults: readonly PlannedFault[],
  seed: number,
): Float64Array {
  const bursts = faults.filter(({ kind }) => kind === 'burst')
  const inBurst = (ms: number) => bursts.some(({ at, seconds }) => ms >= at * 1000 && ms < (at + seconds) * 1000)
  const random = createRandom(seed + 1)
  // A Poisson process of which some events are left out at random is one of a lower rate.
  return poissonSchedule(rate * burstFactor, seconds, seed).filter((ms) => {
    const isKept = random.uniform() < 1 / burstFactor
    return isKept || inBurst(ms)
  })
}

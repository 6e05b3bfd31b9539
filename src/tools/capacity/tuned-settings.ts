import { median } from '../../base/arrays.ts'
import type { Configuration } from '../../schemas/configuration.ts'

/** The settings that are tuned, by their variables. */
export type TunedSettings = Pick<
  Configuration,
  'MULTIGATE_PROCESSES' | 'MULTIGATE_WORKERS' | 'MULTIGATE_MAX_BATCH_ROWS' | 'MULTIGATE_MAX_DELAY_MS'
>

/** Settings that are tried together: each group in turn, with the best known settings of the others. */
export const groups = ['processes', 'batch-rows', 'delay'] as const
export type Group = (typeof groups)[number]

type Change = Partial<TunedSettings>

/** Alternatives of a group, the most promising first; those that are `now` in force are left out. */
export function alternatives(group: Group, now: TunedSettings, cores: number): TunedSettings[] {
  const known = new Set([effectiveKey(now, cores)])
  return changes[group](cores)
    .map((change) => ({ ...now, ...change }))
    .filter((settings) => known.size < known.add(effectiveKey(settings, cores)).size)
}

const changes: Record<Group, (cores: number) => Change[]> = {
  processes: (cores) => [
    // A core for the event loop.
    ...(cores > 1 ? [layout(1, cores - 1)] : []),
    ...powersOfTwo(cores).map((processes) => layout(processes, Math.max(1, Math.floor(cores / processes)))),
    // The same, with a core for each event loop.
    ...powersOfTwo(Math.floor(cores / 4)).map((processes) => layout(processes, Math.floor(cores / processes) - 1)),
  ],
  'batch-rows': () => [64, 1024].map((rows) => ({ MULTIGATE_MAX_BATCH_ROWS: rows })),
  delay: () => [0.5, 2].map((ms) => ({ MULTIGATE_MAX_DELAY_MS: ms })),
}

function layout(processes: number, workers: number): Change {
  return { MULTIGATE_PROCESSES: processes, MULTIGATE_WORKERS: workers }
}

/** 2, 4, 8, … up to `most`. */
function powersOfTwo(most: number): number[] {
  return Array.from({ length: Math.max(0, Math.floor(Math.log2(most))) }, (_, i) => 2 ** (i + 1))
}

/** A key of settings, with the number of workers that 0 stands for. */
function effectiveKey(settings: TunedSettings, cores: number): string {
  const { MULTIGATE_PROCESSES: processes, MULTIGATE_WORKERS: workers } = settings
  return JSON.stringify({ ...settings, MULTIGATE_WORKERS: workers || Math.max(1, Math.floor(cores / processes)) })
}

/** `MULTIGATE_WORKERS=1`: the settings that differ from these; empty if none does. */
export function formatSettings(settings: TunedSettings, base: TunedSettings): string {
  return Object.entries(toVariables(settings))
    .filter(([name, value]) => value !== toVariables(base)[name])
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

export function toVariables(settings: TunedSettings): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]))
}

export function tunedSettings(configuration: Configuration): TunedSettings {
  const { MULTIGATE_PROCESSES, MULTIGATE_WORKERS, MULTIGATE_MAX_BATCH_ROWS, MULTIGATE_MAX_DELAY_MS } = configuration
  return { MULTIGATE_PROCESSES, MULTIGATE_WORKERS, MULTIGATE_MAX_BATCH_ROWS, MULTIGATE_MAX_DELAY_MS }
}

/** The outcome of a trial of settings under rising load. */
export interface Trial {
  settings: TunedSettings
  /** Highest rate of answers per second at which 99 % of the requests are answered within the bound; 0 if none. */
  goodput: number
  /** Whether the measurement was stopped because the settings are clearly worse. */
  stopped: boolean
}

/** `needed`: a trial may stop early once it is clear that it stays below this goodput. */
export type Try<T extends Trial> = (settings: TunedSettings, needed: number) => Promise<T>

export interface Search<T extends Trial> {
  trials: T[]
  best: T
}

/** Below this share of the best goodput, settings are not measured further. */
const hopeless = 0.85

/**
 * Coordinate descent: measures the alternatives of each group with the best settings so far, and goes on with the best.
 * A difference of goodput is not yet a recommendation: `confirm` decides.
 */
export async function searchSettings<T extends Trial>(
  start: TunedSettings,
  wanted: readonly Group[],
  cores: number,
  measure: Try<T>,
): Promise<Search<T>> {
  const first = await measure(start, 0)
  const trials = [first]
  let best = first
  // All alternatives are of the settings that were best before the group.
  for (const group of wanted)
    for (const settings of alternatives(group, best.settings, cores)) {
      const trial = await measure(settings, hopeless * best.goodput)
      trials.push(trial)
      if (!trial.stopped && trial.goodput > best.goodput) best = trial
    }
  return { trials, best }
}

export interface Confirmation {
  /** Goodput of each round, of the settings at the start and of the best ones. */
  before: number[]
  after: number[]
  /** Median goodput of the best settings over that at the start, minus 1. */
  gain: number
  /** Whether the gain is more than noise. */
  confirmed: boolean
}

/** Least gain worth a change. */
const leastGain = 0.05

/**
 * A gain counts if every round with the new settings beats every round with the old ones: with 3 rounds each, by chance
 * 1 in 20.
 */
export function confirm(before: number[], after: number[]): Confirmation {
  const gain = median(after) / median(before) - 1
  const apart = Math.min(...after) > Math.max(...before)
  return { before, after, gain, confirmed: apart && gain >= leastGain }
}

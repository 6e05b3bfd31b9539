import { median } from '../model/base/median.ts'
import { alternatives, type Group, type TunedSettings } from './tuned-settings.ts'

/** What settings achieve under rising load. */
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
 * Coordinate descent: measures the alternatives of each group with the best settings so far, and goes on with the best. A
 * difference of goodput is not yet a recommendation: `confirm` decides.
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

/** A gain counts if every round with the new settings beats every round with the old ones: with 3 rounds each, by chance 1 in 20. */
export function confirm(before: number[], after: number[]): Confirmation {
  const gain = median(after) / median(before) - 1
  const apart = Math.min(...after) > Math.max(...before)
  return { before, after, gain, confirmed: apart && gain >= leastGain }
}

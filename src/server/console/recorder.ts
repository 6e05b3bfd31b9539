import type { LiveEvent, LiveSample, LiveUpdate } from '../../schemas/live.ts'
import { keyOf } from '../metrics/version-counts.ts'
import type { LiveSource } from '../request/live-source.ts'
import { createEventLog } from './events.ts'
import { type Condition, type Reading, type Readings, steadyNow, type VersionProblem } from './reading.ts'
import { summarise } from './summarise.ts'

/** Samples kept: five minutes by the second, an hour by ten. */
const keptFine = 300
const keptCoarse = 360

/** Seconds between two coarse samples. */
const coarseSeconds = 10

/** Seconds without a question after which nobody watches. */
const forgottenAfter = 3

export interface LiveRecorder extends LiveSource {
  /** Called once a second. */
  tick(): Promise<void>
}

/**
 * Keeps what happened: while nobody watches, one sample per ten seconds; else one per second, too, which is computed once for
 * all viewers. `read`: a reading of every process; `now`: ms since 1970, by the clock of the readings.
 */
export function createRecorder(read: () => Promise<Readings>, now: () => number = steadyNow): LiveRecorder {
  const fine: LiveSample[] = []
  const coarse: LiveSample[] = []
  const events = createEventLog()
  let earlierFine: Reading[] | undefined
  let earlierCoarse: Reading[] | undefined
  let state:
    | Pick<LiveUpdate, 'models' | 'clients' | 'processes' | 'silent' | 'unstored' | 'failed' | 'unreadable' | 'unready'>
    | undefined
  let seconds = 0
  let unasked = forgottenAfter
  let reading: Promise<void> | undefined

  async function record(): Promise<void> {
    const isWatched = unasked++ < forgottenAfter
    const isCoarse = seconds++ % coarseSeconds === 0
    // Ten seconds that were begun by the second are ended so: pages show no others in their place.
    const isFine = isWatched || earlierFine !== undefined
    if (!isFine && !isCoarse) return
    const readings = await read()
    events.add(readings, now())
    const { answered, silent } = readings
    if (answered.length === 0) return
    // The first sample of a viewer begins where those of ten seconds end: what led to the visit is in it.
    const earlier = earlierFine ?? earlierCoarse
    if (isCoarse) {
      if (earlierCoarse !== undefined) {
        const interval = summarise(earlierCoarse, answered)
        events.addInterval(interval)
        keep(coarse, interval.sample, keptCoarse)
      }
      earlierCoarse = answered
    }
    if (!isFine) return
    if (earlier !== undefined) {
      const { sample, models, clients, processes } = summarise(earlier, answered)
      keep(fine, sample, keptFine)
      state = { models, clients, processes, silent, ...conditionOf(answered) }
    }
    earlierFine = isWatched || !isCoarse ? answered : undefined
  }

  return {
    tick() {
      // A reading that takes longer than a second is waited for.
      reading ??= record().finally(() => {
        reading = undefined
      })
      return reading
    },
    async history() {
      unasked = 0
      const at = now()
      // Older ones, from when somebody watched before, would leave a gap.
      const recent = fine.filter((sample) => sample.at > at - 1000 * keptFine)
      return { at, clock: Date.now(), events: events.since(0), fine: recent, coarse: [...coarse] }
    },
    async latest(at) {
      unasked = 0
      const added = fine.filter((sample) => sample.at > at)
      if (added.length === 0 || state === undefined) return undefined
      const changed: LiveEvent[] = events.since(at)
      return {
        clock: Date.now(),
        events: changed,
        fine: added,
        coarse: coarse.filter((sample) => sample.at > at),
        ...state,
      }
    },
  }
}

/** The condition of all processes: they serve the same folder. */
function conditionOf(readings: readonly Reading[]): Pick<LiveUpdate, 'unstored' | 'failed' | 'unreadable' | 'unready'> {
  const conditions = readings.map(({ condition }) => condition)
  const byVersion = (read: (condition: Condition) => VersionProblem[]) => [
    ...new Map(conditions.flatMap(read).map((one) => [keyOf(one), one])).values(),
  ]
  const unreadable = conditions.find((condition) => condition.unreadable)?.unreadable
  // The service is ready while one process is.
  const isReady = conditions.some(({ unready }) => unready.length === 0)
  return {
    unstored: byVersion(({ unstored }) => unstored),
    failed: byVersion(({ failed }) => failed),
    ...(unreadable !== undefined && { unreadable }),
    unready: isReady ? [] : [...new Set(conditions.flatMap(({ unready }) => unready))],
  }
}

function keep<T>(samples: T[], sample: T, most: number): void {
  samples.push(sample)
  if (samples.length > most) samples.shift()
}

/** Ticks once a second until it is stopped. */
export function runRecorder(recorder: LiveRecorder): { stop(): void } {
  const timer = setInterval(() => recorder.tick().catch(() => undefined), 1000).unref()
  return { stop: () => clearInterval(timer) }
}

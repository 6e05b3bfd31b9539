import type { LiveEvent, LiveSample, LiveUpdate } from '../../schemas/live-figures.ts'
import { versionKey } from '../metrics/version-counts.ts'
import type { LiveSource } from '../request/context.ts'
import { createEventLog } from './events.ts'
import { type Condition, type Reading, type Readings, steadyNow, type VersionProblem } from './reading.ts'
import { summarise } from './summarise.ts'

/** Samples kept: five minutes by the second, an hour by ten. */
const keptFine = 300
const keptCoarse = 360

/** Seconds between two coarse samples. */
export const coarseSeconds = 10

/** ms for which a sample is the latest: viewers ask once a second, those of several processes at different moments. */
const freshFor = 900

/** ms after which a question is late: those who watch ask once a second. */
const lateAfter = 1500

/** ms without a question after which nobody watches. */
const forgottenAfter = 3000

export interface LiveRecorder extends LiveSource {
  /** Called every `coarseSeconds`. */
  tick(): Promise<void>
}

/**
 * Keeps what happened: one sample per ten seconds, and while somebody watches, one each time that is asked for the
 * latest, which is computed once for all viewers. `read`: a reading of every process; `now`: ms since 1970, by the
 * clock of the readings.
 */
export function createRecorder(read: () => Promise<Readings>, now: () => number = steadyNow): LiveRecorder {
  const fine: LiveSample[] = []
  const coarse: LiveSample[] = []
  const events = createEventLog()
  let earlierFine: Reading[] | undefined
  let earlierCoarse: Reading[] | undefined
  let state: Omit<LiveUpdate, 'clock' | 'events' | 'fine' | 'coarse'> | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let readAt = Number.NEGATIVE_INFINITY
  let coarseIsDue = false
  let reading: Promise<void> | undefined
  let late: NodeJS.Timeout | undefined

  async function record(): Promise<void> {
    const at = now()
    readAt = at
    const isCoarse = coarseIsDue
    coarseIsDue = false
    const readings = await read()
    events.add(readings, now())
    const { answered, silent } = readings
    if (answered.length === 0) return
    const isWatched = watched()
    // Ten seconds that were begun by the second are ended so: pages show no others in their place.
    const isFine = isWatched || earlierFine !== undefined
    // The first sample of a viewer begins where those of ten seconds end: what led to the visit is in it.
    const earlier = earlierFine ?? earlierCoarse
    if (isCoarse) {
      if (earlierCoarse !== undefined) {
        const interval = summarise(earlierCoarse, answered, at)
        events.addInterval(interval)
        keep(coarse, interval.sample, keptCoarse)
      }
      earlierCoarse = answered
    }
    if (!isFine) return
    if (earlier !== undefined) {
      const { sample, models, clients, processes } = summarise(earlier, answered, at)
      keep(fine, sample, keptFine)
      state = { models, clients, processes, silent, ...conditionOf(answered) }
    }
    earlierFine = isWatched || !isCoarse ? answered : undefined
  }

  const watched = () => now() - askedAt < forgottenAfter

  /**
   * Somebody watches. The process that asks may stop: the others are read for a while even so, and its silence is
   * noticed.
   */
  function ask(): void {
    askedAt = now()
    late ??= setTimeout(() => {
      if (!watched()) return
      recordOnce().catch(() => undefined)
      late?.refresh()
    }, lateAfter).unref()
    late.refresh()
  }

  /** A reading that is under way is waited for. */
  function recordOnce(): Promise<void> {
    reading ??= record().finally(() => {
      reading = undefined
    })
    return reading
  }

  return {
    async tick() {
      coarseIsDue = true
      await reading?.catch(() => undefined)
      if (coarseIsDue) await recordOnce()
    },
    async history() {
      ask()
      const at = now()
      // Older ones, from when somebody watched before, would leave a gap.
      const recent = fine.filter((sample) => sample.at > at - 1000 * keptFine)
      return { at, clock: Date.now(), events: events.since(0), fine: recent, coarse: [...coarse] }
    },
    async latest(at) {
      ask()
      if (now() - readAt >= freshFor) await recordOnce()
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
    ...new Map(conditions.flatMap(read).map((one) => [versionKey(one), one])).values(),
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

/** Ticks until it is stopped. */
export function runRecorder(recorder: LiveRecorder): { stop(): void } {
  const tick = () => recorder.tick().catch(() => undefined)
  tick()
  const timer = setInterval(tick, 1000 * coarseSeconds).unref()
  return { stop: () => clearInterval(timer) }
}

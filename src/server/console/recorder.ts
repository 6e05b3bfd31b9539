import type { LiveUpdate } from '../../schemas/live.ts'
import type { LiveSource } from '../request/live-source.ts'
import type { Reading } from './reading.ts'
import { type Interval, summarise } from './summarise.ts'

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
 * all viewers. `read`: a reading of every process.
 */
export function createRecorder(read: () => Promise<Reading[]>): LiveRecorder {
  const fine: Interval['sample'][] = []
  const coarse: Interval['sample'][] = []
  let earlierFine: Reading[] | undefined
  let earlierCoarse: Reading[] | undefined
  let last: Pick<LiveUpdate, 'models' | 'processes'> = { models: [], processes: [] }
  let seconds = 0
  /** Ticks since somebody asked. */
  let unasked = forgottenAfter
  let reading: Promise<void> | undefined

  async function record(): Promise<void> {
    const isWatched = unasked++ < forgottenAfter
    const isCoarse = seconds++ % coarseSeconds === 0
    if (!isWatched) earlierFine = undefined
    if (!isWatched && !isCoarse) return
    const now = await read()
    if (now.length === 0) return
    if (isCoarse) {
      if (earlierCoarse !== undefined) keep(coarse, summarise(earlierCoarse, now).sample, keptCoarse)
      earlierCoarse = now
    }
    if (!isWatched) return
    if (earlierFine !== undefined) {
      const { sample, ...rest } = summarise(earlierFine, now)
      keep(fine, sample, keptFine)
      last = rest
    }
    earlierFine = now
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
      // Older ones, from when somebody watched before, would leave a gap.
      const from = Date.now() - 1000 * keptFine
      return { fine: fine.filter(({ at }) => at > from), coarse: [...coarse] }
    },
    async latest(at) {
      unasked = 0
      const since = (samples: Interval['sample'][]) => samples.filter((sample) => sample.at > at)
      const added = since(fine)
      return added.length === 0 ? undefined : { fine: added, coarse: since(coarse), ...last }
    },
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

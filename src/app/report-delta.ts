import type { DeltaEvent } from '../model/live/live-version.ts'
import type { Log } from './load-options.ts'

/** Logs what became of a version's deltas. */
export function reportDelta(event: DeltaEvent, version: { model: string; version: string }, log: Log): void {
  if (event.type === 'refused') {
    const { file, reason } = event
    log.error({ ...version, file, reason }, 'a delta is refused')
    return
  }
  const { type, from, to, rows, seconds } = event
  const message = type === 'applied' ? 'deltas applied' : 'deltas reverted'
  log.info({ ...version, from, to, rows, seconds: Number(seconds.toFixed(3)) }, message)
}

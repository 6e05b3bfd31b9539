import type { Clock } from '../base/clock.ts'

/** One timer for many deadlines, set for the earliest. */
export interface ExpiryTimer {
  /** Makes sure that the timer rings at this time, on the clock, or before. */
  include(deadline: number): void
  cancel(): void
}

/** `onDue` settles what is due, and answers the next deadline; infinity where there is none. */
export function createExpiryTimer(clock: Clock, onDue: (now: number) => number): ExpiryTimer {
  let next = Number.POSITIVE_INFINITY
  let stop: (() => void) | undefined

  function cancel(): void {
    stop?.()
    stop = undefined
    next = Number.POSITIVE_INFINITY
  }

  function include(deadline: number): void {
    if (deadline >= next) return
    cancel()
    next = deadline
    stop = clock.after(deadline - clock.now(), () => {
      cancel()
      include(onDue(clock.now()))
    })
  }

  return { include, cancel }
}

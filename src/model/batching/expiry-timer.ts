import type { Clock } from '../base/clock.ts'

/** One timer for many deadlines, set to the earliest. */
export interface ExpiryTimer {
  /** Ensures that the timer fires at this time or earlier. */
  include(deadline: number): void
  cancel(): void
}

/** `onDue` settles expired requests and returns the next deadline, or infinity if there is none. */
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

/**
 * Spreads work over turns of the event loop: so much begins in each, and the rest waits, first come, first served. So thousands of
 * requests that come together keep what must be fast, predictions and probes, waiting for a few of them only.
 */
export interface Turns {
  /** Calls `begin`, now or in one of the next turns. */
  enter(begin: () => void): void
  /** Calls `begin` in one of the next turns: what another piece of work leads to. */
  next(begin: () => void): void
}

export interface TurnsOptions {
  /** Most that begins in a turn. */
  perTurn: number
  /** Calls back in the next turn. */
  soon(callback: () => void): void
}

export function createTurns({ perTurn, soon }: TurnsOptions): Turns {
  let waiting: (() => void)[] = []
  /** Of `waiting`, those before have begun. */
  let first = 0
  let begun = 0
  let isScheduled = false

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    soon(turn)
  }

  function turn(): void {
    isScheduled = false
    begun = 0
    if (first === waiting.length) return
    schedule()
    while (begun < perTurn && first < waiting.length) {
      begun++
      waiting[first++]!()
    }
    // In half of the cases nothing is moved; else at most as much as has begun.
    if (first > waiting.length / 2) {
      waiting = waiting.slice(first)
      first = 0
    }
  }

  const next = (begin: () => void) => {
    waiting.push(begin)
    schedule()
  }
  return {
    next,
    enter(begin) {
      if (begun >= perTurn || first < waiting.length) {
        next(begin)
        return
      }
      begun++
      schedule()
      begin()
    },
  }
}

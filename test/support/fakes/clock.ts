import type { Clock } from '../../../src/base/clock.ts'

/** A clock that stands still until told otherwise. */
export interface FakeClock extends Clock {
  /** Moves time on, calling what falls due on the way, in order. */
  advance(ms: number): Promise<void>
  /** Lets time pass without a turn of the event loop: nothing is called. */
  pass(ms: number): void
  /** Calls what was put off to the end of this moment, until nothing is left, and lets promises settle. */
  flush(): Promise<void>
  /** Timers that are set. */
  readonly timers: number
}

export function createFakeClock(): FakeClock {
  let now = 1000
  let timers: { at: number; callback: () => void }[] = []
  let soon: (() => void)[] = []

  async function flush(): Promise<void> {
    do {
      const callbacks = soon
      soon = []
      for (const callback of callbacks) callback()
      // All promise callbacks run before the event loop's next phase.
      await new Promise((resolve) => setImmediate(resolve))
    } while (soon.length > 0)
  }

  return {
    now: () => now,
    after(ms, callback) {
      const timer = { at: now + Math.max(0, ms), callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    soon(callback) {
      soon.push(callback)
    },
    async advance(ms) {
      const end = now + ms
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (next === undefined) break
        now = Math.max(now, next.at)
        timers = timers.filter((other) => other !== next)
        next.callback()
        await flush()
      }
      now = end
      await flush()
    },
    pass(ms) {
      now += ms
    },
    flush,
    get timers() {
      return timers.length
    },
  }
}

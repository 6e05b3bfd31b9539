import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How often it looks, ms. */
const interval = 10_000

/** A main thread that is busy for at most this share of the interval is idle. */
const idleShare = 0.05

/** Garbage that is worth a collection: as much as was in use after the last one, and this many bytes. */
const worthwhile = 32 * 2 ** 20

export interface IdleCollectorOptions {
  /** Memory in use, within the heap and outside it, bytes. */
  used(): number
  /** Share of time that the main thread was busy since the last call. */
  busy(): number
  collect(): void
}

/**
 * Gives memory back after a flood. V8 collects when a heap grows, and here seldom: what thousands of connections have left behind
 * would stay for as long as there is little to do. The answer looks once; a collection takes some ten milliseconds.
 */
export function createIdleCollector({ used, busy, collect }: IdleCollectorOptions): () => void {
  /** In use after the last collection, or less since. */
  let least = used()
  return () => {
    const share = busy()
    const bytes = used()
    least = Math.min(least, bytes)
    if (share > idleShare || bytes < 2 * least + worthwhile) return
    collect()
    least = used()
  }
}

/** Has the garbage of this process collected when it is idle. */
export function collectWhenIdle(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  let last = performance.eventLoopUtilization()
  const look = createIdleCollector({
    collect,
    used() {
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    },
    busy() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    },
  })
  setInterval(look, interval).unref()
}

import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { createCollector } from '../base/collect-garbage.ts'

/** Memory that may be taken before the next collection, in % of the memory that is in use after the last one. */
const growth = 300

/**
 * Size of half of the young generation, MiB, as a flag of Node, which takes it when it starts alone: `npm start`, the
 * image, and several processes start so.
 *
 * Bodies of refused requests are garbage immediately, but outside the heap: a collection of the young generation frees
 * them. Where that is as large as Node 24 makes it, 64 MiB of them come together first, and V8 collects the whole heap
 * for it.
 */
export const youngGeneration = '--max-semi-space-size=16'

/** Node's own arguments of a process that serves: those given, and the above unless one of its kind is among them. */
export function serverArgv(given: readonly string[], options = process.env.NODE_OPTIONS ?? ''): string[] {
  const chosen = [...given, options].some((argument) => /--max[-_]semi[-_]space[-_]size/.test(argument))
  return chosen ? [...given] : [...given, youngGeneration]
}

/**
 * Has the whole heap collected seldom while there is something to do: for a process that does nothing but serve, where
 * a pause costs more than memory.
 *
 * Under a flood, what waits for an engine grows old and is garbage soon after. V8 by itself collects all there is when
 * a third has been added to it: up to five times a second, 5 to 15 ms each, while its helper threads keep the engines
 * from their cores.
 */
export function collectSeldom(): void {
  setFlagsFromString(`--heap-growing-percent=${growth}`)
  collectWhenIdle()
}

/** How often it looks, ms. */
const interval = 10_000

/** A main thread that is busy for at most this share of the interval is idle. */
const idleShare = 0.05

/** Garbage that is worth a collection: as much as was in use after the last one, and this many bytes. */
const worthwhile = 32 * 2 ** 20

/** Growth of what V8 does not count that is worth one, bytes: it does not collect it soon. */
const worthwhileShared = 64 * 2 ** 20

export interface IdleCollectorOptions {
  /**
   * Memory in use, bytes: within the heap and outside it, as far as V8 counts it, and the process's other memory. There
   * is memory that threads share among that, which V8 alone can free.
   */
  used(): { own: number; other: number }
  /** Share of time that the main thread was busy since the last call. */
  busy(): number
  collect(): void
}

/**
 * Gives memory back after a flood. V8 collects when a heap grows, and here seldom: what thousands of connections have
 * left behind would stay for as long as there is little to do. The answer looks once; a collection takes some ten
 * milliseconds.
 */
export function createIdleCollector({ used, busy, collect }: IdleCollectorOptions): () => void {
  /** In use after the last collection, or less since. */
  let least = used()
  let lookedAgain = false
  return () => {
    const share = busy()
    const { own, other } = used()
    least = { own: Math.min(least.own, own), other: Math.min(least.other, other) }
    const isGarbage = own >= 2 * least.own + worthwhile || other >= least.other + worthwhileShared
    if (share > idleShare || !isGarbage) return
    collect()
    const left = used()
    // Memory of large requests is kept for some seconds: it is looked for once more.
    const again = !lookedAgain && left.other >= least.other + worthwhileShared
    least = { own: left.own, other: again ? least.other : left.other }
    lookedAgain = again
  }
}

/** Has the garbage of this process collected when it is idle. */
export function collectWhenIdle(): void {
  let last = performance.eventLoopUtilization()
  const look = createIdleCollector({
    collect: createCollector(),
    used() {
      const { heapUsed, heapTotal, external, rss } = process.memoryUsage()
      return { own: heapUsed + external, other: rss - heapTotal - external }
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

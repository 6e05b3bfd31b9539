/** Times for which the event loop of this process did nothing that it should have done. */
export interface Stalls {
  /** Since the start. */
  count: number
  /** The last one, ms; and the share of it that the process computed: 0 where it was stopped or had no core. */
  lastMs: number
  lastBusy: number
}

/**
 * How often the event loop is asked for a sign of life, ms: each costs a tenth of a millisecond, even of an idle
 * process.
 */
const every = 500

/** Later than this, ms, is a stall. */
const tolerated = 500

/** Watches this process until it is stopped. */
export function watchStalls(): { read(): Stalls; stop(): void } {
  const stalls: Stalls = { count: 0, lastMs: 0, lastBusy: 0 }
  let due = performance.now() + every
  let cpu = process.cpuUsage()
  const timer = setInterval(() => {
    const now = performance.now()
    const late = now - due
    if (late > tolerated) {
      const { user, system } = process.cpuUsage(cpu)
      stalls.count++
      stalls.lastMs = late
      stalls.lastBusy = Math.min(1, (user + system) / 1000 / late)
    }
    due = now + every
    cpu = process.cpuUsage()
  }, every).unref()
  return { read: () => ({ ...stalls }), stop: () => clearInterval(timer) }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { LiveEvent, LiveHistory } from '../../src/schemas/live-figures.ts'
import type { FaultEvent, Loss } from './accounts.ts'
import type { FaultKind } from './plan.ts'
import type { ChaosServer } from './server.ts'

/** An event that the console reported; times are ms from the start of the run. */
export type ConsoleEvent = Pick<LiveEvent, 'kind' | 'text' | 'at' | 'until'>

/** Events by which the on-call finds a fault; faults that figures show, such as bursts, have none. */
const signs: Partial<Record<FaultKind, LiveEvent['kind'][]>> = {
  swap: ['version_serves'],
  'killed thread': ['worker_replaced'],
  'killed process': ['process_ended'],
  'frozen process': ['process_silent', 'process_stalled'],
  'full plan cache': ['plan_unstored'],
  'full log disk': ['log_lines_dropped'],
  'clock jump': ['clock_jumped'],
}

/** Time between two looks, ms: shorter than what the console takes for an absence. */
const interval = 1500
/** Longest time between two readings of a process while somebody looks, ms. */
export const longestReading = 1500
/** Time for an event to be reported after its fault, ms: readings are ten seconds apart while nobody looks. */
const patience = 15_000

/** A pin that is set and removed within this time, ms, may lie between two readings. */
const brief = 3000

/** Looks at the console again and again, as a page does that loses its connection; `now` is ms from the start. */
export function followConsole(server: ChaosServer, now: () => number) {
  const events = new Map<number, ConsoleEvent>()
  let isOver = false
  const look = async () => {
    const history = await askHistory(server).catch(() => undefined)
    if (history === undefined) return
    const offset = now() - history.at
    for (const { id, kind, text, at, until } of history.events)
      events.set(id, { kind, text, at: at + offset, until: until + offset })
  }
  const work = (async () => {
    while (!isOver) {
      await look()
      await sleep(interval)
    }
    await look()
  })()
  return {
    /** Resolves with all events, oldest first. */
    async stop(): Promise<ConsoleEvent[]> {
      isOver = true
      await work
      return [...events.values()]
    },
  }
}

/** The first event of the stream. */
async function askHistory({ ask }: ChaosServer): Promise<LiveHistory> {
  const first = /^data: (.*)\n\n/m
  const { text } = await ask('/console/live', { until: first, timeout: 3000 })
  return JSON.parse(first.exec(text)![1]!)
}

/** Faults that the console did not report; `stop`: when the service was stopped, ms. */
export function unreported(
  faults: readonly FaultEvent[],
  losses: readonly Loss[],
  console: readonly ConsoleEvent[],
  stop: number,
): string[] {
  return faults.flatMap(({ kind, at, end, what }) => {
    const expected = signs[kind]
    const isReported = console.some(
      (event) => expected?.includes(event.kind) && event.until >= at - interval && event.at <= end + patience,
    )
    // Readings are a second apart, and more on a busy machine: an unloaded version that is back before the next one
    // leaves no trace, nor does a pin.
    const isBrief = kind === 'swap' && (what.includes('unloaded') || (what.includes('pinned') && end - at < brief))
    // The console had no time for faults just before the end.
    if (expected === undefined || isReported || isBrief || end + patience > stop) return []
    if (losses.some((loss) => loss.kind === kind && loss.at >= at && loss.at <= end && diedSoon(loss, losses)))
      return []
    return [`the console did not report ${kind} at ${(at / 1000).toFixed(1)} s (${what})`]
  })
}

/** Whether a process was killed before its next reading, which alone has a killed thread, or that it stood still. */
function diedSoon({ kind, pid, until }: Loss, losses: readonly Loss[]): boolean {
  return (
    kind !== 'killed process' &&
    losses.some(
      (other) => other.kind === 'killed process' && other.pid === pid && Math.abs(other.at - until) < longestReading,
    )
  )
}

/** A process that lived this long, ms, did not die at its start. */
const longLife = 60_000

const first = 500
const longest = 30_000

/**
 * How long to wait before a process that has died is replaced, ms: not at all the first time, then twice as long each
 * time that it dies soon. `lived`: ms from its start; `previous`: the delay before it was started.
 */
export function backOff(lived: number, previous: number | undefined): number {
  if (previous === undefined || lived >= longLife) return 0
  return Math.min(longest, Math.max(first, previous * 2))
}

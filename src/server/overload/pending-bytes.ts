/**
 * Bounds the memory that clients make a process hold: request bodies that are being received, responses that they have
 * yet to read, and requests that wait behind these. All of it counts towards one budget.
 *
 * Only bytes that take memory count: those of a body that have arrived, decompressed, and none that are only announced.
 * When the budget is exceeded, holders are dropped until it is not: first those without progress, then the largest. So
 * a client that holds memory back pays for it, and those that hold few bytes, or are just being served, don't notice.
 */
export interface MemoryBudget {
  /** A kind of holders, which is counted apart and shares the budget. */
  part(): PendingBytes
}

export interface PendingBytes {
  /** Held now, by this kind. */
  readonly bytes: number
  /**
   * Adds a holder. `giveUp` is called at most once, maybe from `add`, when this holder has to make room. `progress`: a
   * number that changes while its client takes what it is sent.
   */
  open(giveUp: () => void, progress?: () => number): Holder
}

export interface Holder {
  /** Adds bytes; a negative number removes them. */
  add(bytes: number): void
  /** Holds nothing any more: all has been read or sent, or the client has gone. Idempotent. */
  close(): void
}

interface Held {
  bytes: number
  /** Where it stands among the others; undefined while it holds nothing. */
  level: number | undefined
  /** When it last made progress, ms, and what `progress` was then. */
  changed: number
  seen: number
  progress(): number
  giveUp(): void
}

/**
 * Levels of size per doubling: of those with progress, one is dropped that has at least .84 of what the largest has.
 */
const levelsPerDoubling = 4

/**
 * A holder without progress for so long is dropped before all others, ms: the longest pause of a client that reads or
 * sends.
 */
const longestPause = 1000

/** `maxBytes` may be exceeded by one holder alone: a large body could never be read otherwise. `now`: ms. */
export function createMemoryBudget({
  maxBytes,
  now = () => performance.now(),
}: {
  maxBytes: number
  now?(): number
}): MemoryBudget {
  /** Holders by level: to find the largest takes the same time for ten thousand as for ten. */
  const levels: Set<Held>[] = []
  /** All holders with bytes, by when they last made progress. */
  const byProgress = new Set<Held>()
  let total = 0

  function place(held: Held): void {
    const level = held.bytes > 0 ? Math.floor(levelsPerDoubling * Math.log2(held.bytes + 1)) : undefined
    if (level === held.level) return
    if (held.level !== undefined) levels[held.level]!.delete(held)
    held.level = level
    if (level === undefined) return
    while (levels.length <= level) levels.push(new Set())
    levels[level]!.add(held)
  }

  function noteProgress(held: Held): void {
    byProgress.delete(held)
    if (held.bytes <= 0) return
    held.changed = now()
    held.seen = held.progress()
    byProgress.add(held)
  }

  /** The holder that has made no progress for longest, if that is too long. */
  function stalled(): Held | undefined {
    const latest = now() - longestPause
    for (const held of byProgress) {
      if (held.changed > latest) return undefined
      if (held.progress() === held.seen) return held
      noteProgress(held)
    }
    return undefined
  }

  function largest(): Held | undefined {
    for (let level = levels.length - 1; level >= 0; level--) for (const held of levels[level]!) return held
    return undefined
  }

  function makeRoom(): void {
    while (total > maxBytes) {
      const held = stalled() ?? largest()
      if (held === undefined || held.bytes === total) return
      held.giveUp()
    }
  }

  function part(): PendingBytes {
    let own = 0
    return {
      get bytes() {
        return own
      },
      open(giveUp, progress = () => 0) {
        let isOpen = true
        const count = (bytes: number) => {
          held.bytes += bytes
          own += bytes
          total += bytes
          place(held)
          noteProgress(held)
        }
        const close = () => {
          if (isOpen) count(-held.bytes)
          isOpen = false
        }
        const held: Held = {
          bytes: 0,
          level: undefined,
          changed: 0,
          seen: 0,
          progress,
          giveUp() {
            close()
            giveUp()
          },
        }
        return {
          add(bytes) {
            if (!isOpen) return
            count(bytes)
            if (bytes > 0 && total > maxBytes) makeRoom()
          },
          close,
        }
      },
    }
  }

  return { part }
}

/**
 * Bounds the memory that clients make a process hold: request bodies that are being received, responses that they have yet to
 * read, and requests that wait behind these. All of it counts towards one budget.
 *
 * What counts is what takes memory: of a body what has arrived, decompressed, and nothing of what is only announced. When the
 * budget is exceeded, the largest holder is dropped: a client that holds many bytes pays for it, and those that hold few don't notice.
 */
export interface MemoryBudget {
  /** A kind of holders, which is counted apart and shares the budget. */
  part(): PendingBytes
}

export interface PendingBytes {
  /** Held now, by this kind. */
  readonly bytes: number
  /** All kinds together hold more than the budget: a lone holder may, since a large body could never be read otherwise. */
  readonly exceeded: boolean
  /** Adds a holder. `giveUp` is called at most once, maybe from `add`, when this holder has to make room. */
  open(giveUp: () => void): Holder
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
  giveUp(): void
}

/** Levels of size per doubling: the holder that is dropped has at least .84 of what the largest has. */
const levelsPerDoubling = 4

/** `maxBytes` may be exceeded by what comes in one piece. */
export function createMemoryBudget({ maxBytes }: { maxBytes: number }): MemoryBudget {
  /** Holders by level, oldest first: to find the largest takes the same time for ten thousand as for ten. */
  const levels: Set<Held>[] = []
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

  function makeRoom(): void {
    for (let level = levels.length - 1; level >= 0 && total > maxBytes; level--) {
      for (const held of levels[level]!) {
        if (total <= maxBytes || held.bytes === total) return
        held.giveUp()
      }
    }
  }

  function part(): PendingBytes {
    let own = 0
    return {
      get bytes() {
        return own
      },
      get exceeded() {
        return total > maxBytes
      },
      open(giveUp) {
        let isOpen = true
        const close = () => {
          if (!isOpen) return
          isOpen = false
          own -= held.bytes
          total -= held.bytes
          held.bytes = 0
          place(held)
        }
        const held: Held = {
          bytes: 0,
          level: undefined,
          giveUp() {
            close()
            giveUp()
          },
        }
        return {
          add(bytes) {
            if (!isOpen) return
            held.bytes += bytes
            own += bytes
            total += bytes
            place(held)
            if (bytes > 0 && total > maxBytes) makeRoom()
          },
          close,
        }
      },
    }
  }

  return { part }
}

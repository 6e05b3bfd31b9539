/**
 * Bounds bytes that are on their way, of all connections together: of request bodies that are being received, or of answers
 * that are being sent.
 *
 * What counts is what takes memory: of a body what has arrived, decompressed, and nothing of what is only announced. Where it
 * becomes too much, who has most is given up: so a client that holds many bytes back pays for it, and those that hold few don't notice.
 */
export interface PendingBytes {
  /** Now. */
  readonly bytes: number
  /** More than there may be, held by a lone one: a large body could never be read else. */
  readonly exceeded: boolean
  /** Somebody begins to hold some. `giveUp` is called, at most once and maybe by `add`, where they are the one to make room. */
  open(giveUp: () => void): Holder
}

export interface Holder {
  /** Adds bytes; a negative number removes them. */
  add(bytes: number): void
  /** None any more: they have been read or sent, or the client has gone. Idempotent. */
  close(): void
}

/** `maxBytes` may be passed by what comes in one piece. */
export function createPendingBytes({ maxBytes }: { maxBytes: number }): PendingBytes {
  const holders = new Set<{ bytes: number; giveUp(): void }>()
  let total = 0

  /** Each is looked at, but only in need: and then the largest is at least as large as the average. */
  function makeRoom(): void {
    while (total > maxBytes) {
      let largest: { bytes: number; giveUp(): void } | undefined
      for (const holder of holders) if (largest === undefined || holder.bytes > largest.bytes) largest = holder
      if (largest === undefined || largest.bytes === total) return
      holders.delete(largest)
      total -= largest.bytes
      largest.giveUp()
    }
  }

  return {
    get bytes() {
      return total
    },
    get exceeded() {
      return total > maxBytes
    },
    open(giveUp) {
      const holder = { bytes: 0, giveUp }
      holders.add(holder)
      return {
        add(bytes) {
          if (!holders.has(holder)) return
          holder.bytes += bytes
          total += bytes
          makeRoom()
        },
        close() {
          if (holders.delete(holder)) total -= holder.bytes
        },
      }
    },
  }
}

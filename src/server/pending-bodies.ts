/**
 * Bounds the bytes of request bodies that are being received, of all connections together.
 *
 * What counts is what has arrived, decompressed: what a client only announces takes no memory, and a compressed body takes
 * more than it announces. Where they become too many, the largest body is given up: so whoever holds many bytes back pays
 * for it, and those that send little don't notice.
 */
export interface PendingBodies {
  /** Bytes now. */
  readonly bytes: number
  /** A body begins to arrive. `giveUp` is called, at most once and maybe by `add`, where it is the one to make room. */
  open(giveUp: () => void): PendingBody
}

export interface PendingBody {
  /** So many bytes more have arrived. */
  add(bytes: number): void
  /** It holds none any more: it has been read, refused, or its client has gone. Idempotent. */
  close(): void
}

/** `maxBytes` may be passed by what comes in one piece. */
export function createPendingBodies({ maxBytes }: { maxBytes: number }): PendingBodies {
  const bodies = new Set<{ bytes: number; giveUp(): void }>()
  let total = 0

  /** Every body is looked at, but only in need: and then the largest is at least as large as the average. */
  function makeRoom(): void {
    while (total > maxBytes) {
      let largest: { bytes: number; giveUp(): void } | undefined
      for (const body of bodies) if (largest === undefined || body.bytes > largest.bytes) largest = body
      // A lone body may be larger than all that is allowed: else it could never be read.
      if (largest === undefined || largest.bytes === total) return
      bodies.delete(largest)
      total -= largest.bytes
      largest.giveUp()
    }
  }

  return {
    get bytes() {
      return total
    },
    open(giveUp) {
      const body = { bytes: 0, giveUp }
      bodies.add(body)
      return {
        add(bytes) {
          if (!bodies.has(body)) return
          body.bytes += bytes
          total += bytes
          makeRoom()
        },
        close() {
          if (bodies.delete(body)) total -= body.bytes
        },
      }
    },
  }
}

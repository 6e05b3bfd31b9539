/** Bounds how much is done side by side: a taker waits until a slot is free, in the order of asking. */
export interface Slots {
  /** Resolves with what frees the slot; idempotent. */
  take(): Promise<() => void>
}

/** `limit` is asked each time that a slot is taken or freed; 1 at least. */
export function createSlots(limit: () => number): Slots {
  const waiting: (() => void)[] = []
  let taken = 0

  function give(): void {
    while (waiting.length > 0 && taken < Math.max(1, limit())) {
      taken++
      waiting.shift()!()
    }
  }

  return {
    async take() {
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        give()
      })
      let held = true
      return () => {
        if (!held) return
        held = false
        taken--
        give()
      }
    },
  }
}

/**
 * The slot that a model holds while its versions are loaded one after the other: one that fails passes it on to the
 * next.
 */
export class HeldSlot {
  readonly #slots: Slots
  #free: (() => void) | undefined

  constructor(slots: Slots) {
    this.#slots = slots
  }

  async take(): Promise<void> {
    this.#free ??= await this.#slots.take()
  }

  /** Idempotent. */
  readonly free = (): void => {
    this.#free?.()
    this.#free = undefined
  }
}

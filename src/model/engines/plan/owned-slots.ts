/** Whose candidate a slot of the cache is to be for, where that tenant's share of the cache is limited. */
export interface SlotOwner {
  id: string
  /** Largest share of the slots, 0 to 1. */
  cacheShare: number
}

/** The slots of owners whose share of the cache is limited. All others are nobody's. */
export class OwnedSlots {
  /** By owner, in the order in which they are considered for eviction. */
  readonly #slots = new Map<string, Set<number>>()
  /** By slot, the slots of its owner. */
  readonly #ownerOf = new Map<number, Set<number>>()

  /** Slots of the owner. */
  count({ id }: SlotOwner): number {
    return this.#slots.get(id)?.size ?? 0
  }

  add({ id }: SlotOwner, slot: number): void {
    let own = this.#slots.get(id)
    if (own === undefined) {
      own = new Set()
      this.#slots.set(id, own)
    }
    own.add(slot)
    this.#ownerOf.set(slot, own)
  }

  /**
   * Takes the first slot of the owner that may be evicted, in two rounds; −1 where none may. Those passed over go to
   * the end.
   */
  take({ id }: SlotOwner, mayEvict: (slot: number) => boolean): number {
    const own = this.#slots.get(id)
    if (own === undefined) return -1
    let left = 2 * own.size
    // A set visits again what is put back at its end.
    for (const slot of own) {
      if (left-- === 0) return -1
      own.delete(slot)
      if (mayEvict(slot)) {
        this.#ownerOf.delete(slot)
        return slot
      }
      own.add(slot)
    }
    return -1
  }

  /** The slot is nobody's. */
  drop(slot: number): void {
    if (this.#ownerOf.size === 0) return
    this.#ownerOf.get(slot)?.delete(slot)
    this.#ownerOf.delete(slot)
  }

  clear(): void {
    this.#slots.clear()
    this.#ownerOf.clear()
  }
}

/** Remembers the last `size` hashes, a power of 2, or so: in buckets of 4, where a new one drives out the oldest. */
export class Doorkeeper {
  #hashes: Int32Array

  constructor(size: number) {
    this.#hashes = new Int32Array(size)
  }

  /** Whether it remembers the hash; from now on it does. */
  admits(hash: number): boolean {
    const hashes = this.#hashes
    const print = hash === 0 ? 1 : hash
    const at = (hash << 2) & (hashes.length - 1)
    for (let i = at; i < at + 4; i++) if (hashes[i] === print) return true
    for (let i = at + 3; i > at; i--) hashes[i] = hashes[i - 1]!
    hashes[at] = print
    return false
  }

  /** A new array takes no memory until it is written. */
  clear(): void {
    this.#hashes = new Int32Array(this.#hashes.length)
  }
}

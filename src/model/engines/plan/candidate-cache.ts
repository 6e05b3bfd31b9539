import { type HashWords, hashWords } from '../../../base/hash.ts'
import { Doorkeeper, OwnedSlots, type SlotOwner } from './owned-slots.ts'

/**
 * A bounded, exact cache of what depends on a candidate alone: one per worker thread, without locks.
 *
 * A key is the candidate's encoded columns as int32 words, floats by their bits; hits compare whole keys. Its values
 * are a row of float32 (row-memory.ts), by slot number: here is which slot is whose. A call runs `begin()`, then `find`
 * and `claim` for its rows; the slots those answer stay put until the next `begin()`.
 */
export interface CandidateCacheOptions {
  /** int32 words of a key; with 0 all candidates are the same. */
  keyWords: number
  /** Floats that are kept in a slot. */
  width: number
  /** Bound on all memory: cached values, which lie elsewhere, keys, index, doorkeeper. */
  bytes: number
  /** A hash, an int32, of the words [start, start + words); tests replace it to force collisions. */
  hash?: HashWords
}

/** Answer of `find`: not cached, and not asked for recently. */
export const NEVER_SEEN = -1
/** Answer of `find`: not cached, but asked for before (or, rarely, taken for one that was): worth keeping. */
export const SEEN = -2

/** Below this many slots a cache isn't worth its gathers. */
const MIN_SLOTS = 16
/** Elements of an array stay below this: offsets are then small integers everywhere in V8, and int32 in kernels. */
const MAX_ELEMENTS = 2 ** 30
/** Places of the index for each slot, at least: half empty, linear probing finds a miss in 2.5 steps on average. */
const INDEX_PLACES = 2
/**
 * Candidates the doorkeeper remembers for each place: 4 to 8 a slot. One that returns later hardly outlives its slot.
 */
const REMEMBERED = 2
/** A place of the index and its share of the doorkeeper. */
const PLACE_BYTES = 8 + 4 * REMEMBERED
/** Bookkeeping of a slot: 8 bytes for its last call, 4 in the stack of free slots, 1 for its second chance. */
const SLOT_BYTES = 13

export class CandidateCache {
  /** Capacity; 0 where fewer than 16 fit: then every `find` answers NEVER_SEEN and every `claim` -1. */
  readonly slots: number

  readonly #keyWords: number
  readonly #hash: HashWords
  readonly #slotBytes: number
  /** [slots, keyWords] */
  readonly #keys: Int32Array
  /** [places, 2]: slot + 1 (0: an empty place) and hash; open addressing, a place is sought from `hash & mask` on. */
  #index: Int32Array
  readonly #mask: number
  /** Number of the last call that found or claimed the slot; 0 where it is free. Doubles, as 2^32 calls take weeks. */
  #lastCall: Float64Array
  /** 1 where a later call than the claiming one has found the slot since the clock's hand last passed. */
  readonly #secondChance: Uint8Array
  readonly #freed: Int32Array
  readonly #doorkeeper: Doorkeeper
  readonly #owned = new OwnedSlots()
  #freedCount = 0
  /** Slots from this one on have never been claimed. */
  #untouched = 0
  #hand = 0
  #call = 1
  /** Slots found or claimed by this call. */
  #inUse = 0
  #hits = 0
  #misses = 0
  #evictions = 0

  /** Throws RangeError where the system refuses the memory. */
  constructor({ keyWords, width, bytes, hash = hashWords }: CandidateCacheOptions) {
    const slots = capacity(keyWords, width, bytes)
    const places = placesFor(slots)
    this.slots = slots
    this.#keyWords = keyWords
    this.#hash = hash
    this.#slotBytes = bytesOfSlot(keyWords, width)
    this.#keys = new Int32Array(slots * keyWords)
    this.#index = new Int32Array(places * 2)
    this.#mask = places - 1
    this.#lastCall = new Float64Array(slots)
    this.#secondChance = new Uint8Array(slots)
    this.#freed = new Int32Array(slots)
    this.#doorkeeper = new Doorkeeper(places * REMEMBERED)
  }

  /** A new call begins: slots found or claimed from here until the next `begin()` are not evicted. */
  begin(): void {
    this.#call++
    this.#inUse = 0
  }

  /**
   * The slot of the candidate in that row of `keys` [rows, keyWords]; else SEEN where it has been asked for recently,
   * in this call or an earlier one; else NEVER_SEEN, and it is remembered. A slot claimed in this call is found whether
   * or not its values are written yet.
   */
  find(keys: Int32Array, row: number): number {
    const start = row * this.#keyWords
    const hash = this.#hash(keys, start, this.#keyWords)
    const slot = this.#lookUp(keys, start, hash)
    if (slot < 0) {
      this.#misses++
      return this.slots > 0 && this.#doorkeeper.admits(hash) ? SEEN : NEVER_SEEN
    }
    this.#hits++
    return this.#use(slot)
  }

  /** The slot of the candidate in that row of `keys`, or -1; like `find`, but not counted and not remembered. */
  peek(keys: Int32Array, row: number): number {
    const start = row * this.#keyWords
    const slot = this.#lookUp(keys, start, this.#hash(keys, start, this.#keyWords))
    return slot < 0 ? -1 : this.#use(slot)
  }

  /**
   * A slot for the candidate in that row of `keys`, whose slab rows the caller then writes: the one it has, else a free
   * one, else that of a candidate not used recently. An owner who has used up its share gets one of its own slots. -1
   * where this call uses every slot, or all that the owner may have.
   */
  claim(keys: Int32Array, row: number, owner?: SlotOwner): number {
    const start = row * this.#keyWords
    const hash = this.#hash(keys, start, this.#keyWords)
    const present = this.#lookUp(keys, start, hash)
    if (present >= 0) return this.#use(present)
    if (this.#inUse === this.slots) return -1

    const isLimited = owner !== undefined && this.#owned.count(owner) >= Math.floor(owner.cacheShare * this.slots)
    const slot = isLimited ? this.#evictFrom(owner) : this.#nextSlot()
    if (slot < 0) return -1
    if (owner !== undefined) this.#owned.add(owner, slot)

    const key = slot * this.#keyWords
    for (let i = 0; i < this.#keyWords; i++) this.#keys[key + i] = keys[start + i]!
    let place = hash & this.#mask
    while (this.#index[place * 2] !== 0) place = (place + 1) & this.#mask
    this.#index[place * 2] = slot + 1
    this.#index[place * 2 + 1] = hash
    this.#lastCall[slot] = this.#call
    this.#secondChance[slot] = 0
    this.#inUse++
    return slot
  }

  /**
   * Forgets a slot, as when its values could not be computed; nothing for a free one. The next `claim` may take it, so
   * no row of this call may gather from it any more.
   */
  invalidate(slot: number): void {
    const lastCall = this.#lastCall[slot] ?? 0
    if (lastCall === 0) return
    if (lastCall === this.#call) this.#inUse--
    this.#unlink(slot)
    this.#owned.drop(slot)
    this.#lastCall[slot] = 0
    this.#freed[this.#freedCount++] = slot
  }

  /**
   * Forgets the candidates whose keys, `keyWords` words of `keys` from `start` on, fulfil the condition; between two
   * calls.
   */
  forgetWhere(condition: (keys: Int32Array, start: number) => boolean): void {
    for (let slot = 0; slot < this.#untouched; slot++)
      if (this.#lastCall[slot] !== 0 && condition(this.#keys, slot * this.#keyWords)) this.invalidate(slot)
  }

  /**
   * Forgets every candidate, those of this call too, and which have been seen. The counts go on. New arrays take no
   * memory until they are written: zeros in the old ones would make all of an empty cache resident.
   */
  clear(): void {
    if (this.#untouched > 0) {
      this.#index = new Int32Array(this.#index.length)
      this.#lastCall = new Float64Array(this.slots)
    }
    this.#doorkeeper.clear()
    this.#owned.clear()
    this.#freedCount = 0
    this.#untouched = 0
    this.#hand = 0
    this.#inUse = 0
  }

  /**
   * `hits` and `misses` count answers of `find`, `evictions` candidates that lost their slot to another, all since the
   * start. `entries`: slots taken; `bytes`: theirs, without the shared tables.
   */
  stats(): { hits: number; misses: number; bytes: number; entries: number; evictions: number } {
    const entries = this.#untouched - this.#freedCount
    const bytes = entries * this.#slotBytes
    return { hits: this.#hits, misses: this.#misses, bytes, entries, evictions: this.#evictions }
  }

  /** The slot of the key at `start`, or -1. */
  #lookUp(keys: Int32Array, start: number, hash: number): number {
    const index = this.#index
    const mask = this.#mask
    const cached = this.#keys
    const words = this.#keyWords
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = index[place * 2]! - 1
      if (slot < 0) return -1
      if (index[place * 2 + 1] !== hash) continue
      const own = slot * words
      let i = 0
      while (i < words && cached[own + i] === keys[start + i]) i++
      if (i === words) return slot
    }
  }

  #use(slot: number): number {
    if (this.#lastCall[slot] === this.#call) return slot
    this.#lastCall[slot] = this.#call
    this.#secondChance[slot] = 1
    this.#inUse++
    return slot
  }

  /**
   * Takes the slot of a candidate away by CLOCK; all are taken, and not all by this call. After two rounds in a call
   * all are used by it, so that passing over those in use costs a claim little on average.
   */
  #evict(): number {
    for (;;) {
      const slot = this.#hand
      this.#hand = slot + 1 === this.slots ? 0 : slot + 1
      if (this.#lastCall[slot] === this.#call) continue
      if (this.#secondChance[slot] === 0) {
        this.#unlink(slot)
        this.#owned.drop(slot)
        this.#evictions++
        return slot
      }
      this.#secondChance[slot] = 0
    }
  }

  /** A slot that nobody uses, or one that is taken away; at least one is not used by this call. */
  #nextSlot(): number {
    if (this.#freedCount > 0) return this.#freed[--this.#freedCount]!
    if (this.#untouched < this.slots) return this.#untouched++
    return this.#evict()
  }

  /** A slot of an owner that has used up its share, by CLOCK too; −1 where this call uses all of them. */
  #evictFrom(owner: SlotOwner): number {
    const slot = this.#owned.take(owner, (slot) => {
      if (this.#lastCall[slot] === this.#call) return false
      if (this.#secondChance[slot] === 0) return true
      this.#secondChance[slot] = 0
      return false
    })
    if (slot < 0) return -1
    this.#unlink(slot)
    this.#evictions++
    return slot
  }

  /** Takes a slot out of the index, and moves up what it kept from its place: no tombstones, so nothing degrades. */
  #unlink(slot: number): void {
    const index = this.#index
    const mask = this.#mask
    let hole = this.#hash(this.#keys, slot * this.#keyWords, this.#keyWords) & mask
    while (index[hole * 2] !== slot + 1) hole = (hole + 1) & mask
    for (let place = (hole + 1) & mask; index[place * 2] !== 0; place = (place + 1) & mask) {
      const hash = index[place * 2 + 1]!
      if (((place - hash) & mask) < ((place - hole) & mask)) continue
      index[hole * 2] = index[place * 2]!
      index[hole * 2 + 1] = hash
      hole = place
    }
    index[hole * 2] = 0
  }
}

/** The most slots whose memory, tables included, stays within `bytes`; 0 where that is fewer than MIN_SLOTS. */
function capacity(keyWords: number, width: number, bytes: number): number {
  // Rounded up, the index has fewer than INDEX_PLACES * 2 places a slot, of 2 words each.
  const widest = Math.max(keyWords, INDEX_PLACES * 4, width)
  let most = keyWords === 0 ? MIN_SLOTS : Math.floor((MAX_ELEMENTS - 1) / widest)
  let fits = 0
  while (fits < most) {
    const slots = Math.ceil((fits + most) / 2)
    if (slots * bytesOfSlot(keyWords, width) + placesFor(slots) * PLACE_BYTES <= bytes) fits = slots
    else most = slots - 1
  }
  return fits < MIN_SLOTS ? 0 : fits
}

function bytesOfSlot(keyWords: number, width: number): number {
  return 4 * (keyWords + width) + SLOT_BYTES
}

/** Places of the index: the least power of 2 that leaves half of them empty. */
function placesFor(slots: number): number {
  return slots === 0 ? 1 : 2 ** (32 - Math.clz32(slots * INDEX_PLACES - 1))
}

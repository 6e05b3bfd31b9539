import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { type HashWords, hashWords } from '../../../base/hash.ts'
import type { ReadyCatalogue } from '../../contracts/catalogue.ts'
import { catalogueFiles, emptyIndex, grown, insert, mostSlots, nextPlace, slotAt } from './key-index.ts'
import { shapeOf } from './read-catalogue.ts'
import { rowWords } from './row-format.ts'

/** Keys of one block: keys grow by blocks, so that growing copies none. */
const blockRows = 2 ** 16
/** Rows that are read in one go. */
const readRows = 1024

/**
 * Different keys, numbered in the order in which they came; in typed arrays, 4 bytes per word and 16 to 32 for the
 * index.
 */
export class CandidateKeys {
  readonly #keyWords: number
  readonly #hash: HashWords
  readonly #blocks: Int32Array[] = []
  #index: Int32Array
  #rows = 0

  /** `hash`: tests force collisions by it. */
  constructor(keyWords: number, hash: HashWords = hashWords) {
    this.#keyWords = keyWords
    this.#hash = hash
    this.#index = emptyIndex(0)
  }

  /** The keys of a catalogue, whose rows are read in parts. Rejects with the system's error. */
  static async read({ folder, description, index }: ReadyCatalogue): Promise<CandidateKeys> {
    const { rows, keyWords } = description
    const words = rowWords(shapeOf(description))
    const keys = new CandidateKeys(keyWords)
    const part = new Int32Array(readRows * words)
    const file = await open(join(folder, catalogueFiles.rows))
    try {
      for (let first = 0; first < rows; first += readRows) {
        const count = Math.min(readRows, rows - first)
        const { bytesRead } = await file.read(part, 0, count * words * 4, first * words * 4)
        if (bytesRead < count * words * 4) throw new Error(`${catalogueFiles.rows} ends too early`)
        for (let row = 0; row < count; row++) keys.#store(first + row, part, row * words)
      }
    } finally {
      await file.close()
    }
    keys.#index = index.slice()
    keys.#rows = rows
    return keys
  }

  get rows(): number {
    return this.#rows
  }

  /** See key-index.ts. */
  get index(): Int32Array {
    return this.#index
  }

  /** The keys [count, keyWords] of slots from `first` on. */
  from(first: number): Int32Array {
    const words = this.#keyWords
    const keys = new Int32Array((this.#rows - first) * words)
    for (let slot = first; slot < this.#rows; slot++) {
      const own = (slot % blockRows) * words
      keys.set(this.#blocks[Math.floor(slot / blockRows)]!.subarray(own, own + words), (slot - first) * words)
    }
    return keys
  }

  /** Adds the key in that row of `keys`; false if it is there already. */
  claim(keys: Int32Array, row: number): boolean {
    const words = this.#keyWords
    const start = row * words
    const hash = this.#hash(keys, start, words)
    for (let place = nextPlace(this.#index, hash, hash); place >= 0; ) {
      if (this.#isAt(slotAt(this.#index, place), keys, start)) return false
      place = nextPlace(this.#index, hash, place + 1)
    }
    const slot = this.#rows
    if (slot === mostSlots) throw new ModelError('INVALID_REQUEST', `a catalogue has at most ${mostSlots} candidates`)
    this.#rows++
    if (this.#rows * 4 > this.#index.length) this.#index = grown(this.#index)
    insert(this.#index, hash, slot)
    this.#store(slot, keys, start)
    return true
  }

  /** Keeps the key of the next slot, which is at `start`. */
  #store(slot: number, keys: Int32Array, start: number): void {
    const words = this.#keyWords
    if (slot % blockRows === 0) this.#blocks.push(new Int32Array(blockRows * words))
    this.#blocks.at(-1)!.set(keys.subarray(start, start + words), (slot % blockRows) * words)
  }

  #isAt(slot: number, keys: Int32Array, start: number): boolean {
    const block = this.#blocks[Math.floor(slot / blockRows)]!
    const own = (slot % blockRows) * this.#keyWords
    for (let i = 0; i < this.#keyWords; i++) if (block[own + i] !== keys[start + i]) return false
    return true
  }
}

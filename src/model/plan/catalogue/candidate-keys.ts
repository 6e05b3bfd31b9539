import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { type HashWords, hashWords } from '../../base/hash-words.ts'
import type { ReadyCatalogue } from '../../contracts/catalogue.ts'
import { emptyIndex, grown, insert, mostSlots, nextPlace, slotAt } from './key-index.ts'
import { catalogueFiles } from './names.ts'

/** Keys of one block: keys grow by blocks, so that growing copies none. */
const blockRows = 2 ** 16

/** Different keys, numbered in the order in which they came; in typed arrays, 4 bytes per word and 16 to 32 for the index. */
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

  /** The keys of a catalogue. Rejects with the system's error. */
  static async read({ folder, description: { rows, keyWords }, index }: ReadyCatalogue): Promise<CandidateKeys> {
    const keys = new CandidateKeys(keyWords)
    const file = await open(join(folder, catalogueFiles.keys))
    try {
      for (let first = 0; first < rows; first += blockRows) {
        const block = new Int32Array(blockRows * keyWords)
        const bytes = Math.min(blockRows, rows - first) * keyWords * 4
        const { bytesRead } = await file.read(block, 0, bytes, first * keyWords * 4)
        if (bytesRead < bytes) throw new Error(`${catalogueFiles.keys} ends too early`)
        keys.#blocks.push(block)
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

  /** The keys [rows, keyWords], in parts. */
  *blocks(): Generator<Int32Array> {
    for (const [i, block] of this.#blocks.entries())
      yield block.subarray(0, Math.min(blockRows, this.#rows - i * blockRows) * this.#keyWords)
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
    if (slot % blockRows === 0) this.#blocks.push(new Int32Array(blockRows * words))
    this.#blocks.at(-1)!.set(keys.subarray(start, start + words), (slot % blockRows) * words)
    return true
  }

  #isAt(slot: number, keys: Int32Array, start: number): boolean {
    const block = this.#blocks[Math.floor(slot / blockRows)]!
    const own = (slot % blockRows) * this.#keyWords
    for (let i = 0; i < this.#keyWords; i++) if (block[own + i] !== keys[start + i]) return false
    return true
  }
}

import { type NumberType, numberTypes } from '../../../schemas/feature-table.ts'
import { NarrowNumbers } from './narrow-numbers.ts'
import { StringPool } from './string-pool.ts'

/*
 * Values of a column while its table is built: the numbers that are stored for them.
 */

/** A single value; null: none. */
export type Cell = string | number | null

/** Codes of strings: 0 where there is none. */
export class Codes {
  readonly pool = new StringPool()
  readonly numbers = new NarrowNumbers(Uint8Array, Uint16Array, Uint32Array)

  push(value: string | null): void {
    this.numbers.push(value === null ? 0 : this.pool.add(value) + 1)
  }

  codeOf(bytes: Uint8Array, start: number, end: number, hash?: number): number {
    return this.pool.addBytes(bytes, start, end, hash) + 1
  }

  get codeBytes(): 1 | 2 | 4 {
    const { count } = this.pool
    return count < 2 ** 8 ? 1 : count < 2 ** 16 ? 2 : 4
  }
}

/** Numbers, NaN where there is none. */
export class Numbers {
  readonly numbers = new NarrowNumbers(Float32Array, Float64Array)
  readonly #fits: Record<NumberType, boolean> = { uint8: true, int16: true, int32: true, float32: true, float64: true }
  #least = 0
  #largest = 0

  push(value: number): void {
    this.numbers.push(value)
    this.#note(value)
  }

  append(values: Float64Array): void {
    this.numbers.append(values)
    for (let i = 0; i < values.length; i++) this.#note(values[i]!)
  }

  #note(value: number): void {
    if (!Number.isInteger(value) || Object.is(value, -0)) {
      const fits = this.#fits
      fits.uint8 = fits.int16 = fits.int32 = false
      if (!Number.isNaN(value) && Math.fround(value) !== value) fits.float32 = false
      return
    }
    if (value < this.#least) this.#least = value
    else if (value > this.#largest) this.#largest = value
    if (Math.fround(value) !== value) this.#fits.float32 = false
  }

  /** The narrowest type that holds all. */
  get type(): NumberType {
    const [least, largest] = [this.#least, this.#largest]
    const holds: Record<NumberType, boolean> = {
      uint8: least >= 0 && largest < 2 ** 8,
      int16: least >= -(2 ** 15) && largest < 2 ** 15,
      int32: least >= -(2 ** 31) && largest < 2 ** 31,
      float32: true,
      float64: true,
    }
    return numberTypes.find((type) => this.#fits[type] && holds[type])!
  }
}

/** Throws an Error where a number is not finite. */
export function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Error(`is no finite number: ${value}`)
  return value
}

import { type RowArrays, unknownTest } from './field-column.ts'
import type { TableField, Widths } from './table-fields.ts'

/** Most bytes of rows that are kept for an entity, in each thread that encodes. */
const mostBytes = 2 ** 22

/**
 * Single values of table rows that requests named recently, encoded: to copy them takes a tenth of the time that it
 * takes to read and encode them. A row has one place, where it replaces the one before it. Only rows of which nothing
 * is counted or refused are kept.
 */
export class EncodedRows {
  /** The fields' columns of `sparse`, and of `dense`. */
  readonly #sparse: number[] = []
  readonly #dense: number[] = []
  readonly #isUnknown: { at: number; ofDense: boolean; test: (code: number) => boolean }[] = []
  /** Numbers of a place: its row plus 1, 0 for none, the values of `sparse`, and behind them those of `dense`. */
  readonly #width: number
  readonly #mask: number
  readonly #ids: Int32Array
  readonly #numbers: Float32Array
  #wanted = new Int32Array(0)

  /** `fields`: of single values, at least one. `rows`: places that are useful at most. */
  constructor(fields: readonly TableField[], rows: number) {
    for (const { slot } of fields) (slot.sparse ? this.#sparse : this.#dense).push(slot.column)
    for (const { slot } of fields) {
      const test = unknownTest(slot.encoder)
      const columns = slot.sparse ? this.#sparse : this.#dense
      const at = 1 + columns.indexOf(slot.column) + (slot.sparse ? 0 : this.#sparse.length)
      if (test) this.#isUnknown.push({ at, ofDense: !slot.sparse, test })
    }
    this.#width = 1 + fields.length
    const most = Math.floor(mostBytes / 4 / this.#width)
    const places = 2 ** Math.min(Math.floor(Math.log2(most)), Math.ceil(Math.log2(Math.max(1, rows))))
    this.#mask = places - 1
    this.#ids = new Int32Array(places * this.#width)
    this.#numbers = new Float32Array(this.#ids.buffer)
  }

  /**
   * Writes those of these table rows, −1 for none, that are kept into the rows of `target`. Answers `rows` with −1 in
   * their place, valid until the next call; undefined: none is left.
   */
  take(rows: Int32Array, { sparse, dense }: RowArrays, widths: Widths): Int32Array | undefined {
    const { length } = rows
    if (this.#wanted.length < length) this.#wanted = new Int32Array(2 * length)
    const wanted = this.#wanted
    const [ids, numbers, mask, width] = [this.#ids, this.#numbers, this.#mask, this.#width]
    const [sparseColumns, denseColumns] = [this.#sparse, this.#dense]
    // A loop that only reads, without a branch, waits for many places of memory at a time.
    let read = 0
    for (let i = 0; i < length; i++) read ^= ids[(rows[i]! & mask) * width]!
    lastRead[0] = read
    let left = false
    for (let i = 0; i < length; i++) {
      const row = rows[i]!
      wanted[i] = -1
      if (row < 0) continue
      let at = (row & mask) * width
      if (ids[at++] !== row + 1) {
        wanted[i] = row
        left = true
        continue
      }
      const firstId = i * widths.sparse
      for (let c = 0; c < sparseColumns.length; c++) sparse[firstId + sparseColumns[c]!] = ids[at++]!
      const firstNumber = i * widths.dense
      for (let c = 0; c < denseColumns.length; c++) dense[firstNumber + denseColumns[c]!] = numbers[at++]!
    }
    return left ? wanted.subarray(0, length) : undefined
  }

  /** Keeps these table rows, −1 for none, as `target` has them, but for those whose place in it is in `but`. */
  keep(
    rows: Int32Array,
    { sparse, dense }: RowArrays,
    widths: Widths,
    but: { has(place: number): boolean } | undefined,
  ): void {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      if (row < 0 || but?.has(i)) continue
      const first = (row & this.#mask) * this.#width
      let at = first + 1
      for (const column of this.#sparse) this.#ids[at++] = sparse[i * widths.sparse + column]!
      for (const column of this.#dense) this.#numbers[at++] = dense[i * widths.dense + column]!
      this.#ids[first] = this.#countsAny(first) ? 0 : row + 1
    }
  }

  #countsAny(first: number): boolean {
    for (const { at, ofDense, test } of this.#isUnknown)
      if (test(ofDense ? this.#numbers[first + at]! : this.#ids[first + at]!)) return true
    return false
  }
}

/** Keeps the compiler from leaving the reading out. */
const lastRead = new Int32Array(1)

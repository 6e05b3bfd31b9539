import type { ColumnBytes } from './memory-check.ts'
import type { Cell } from './source.ts'

/** Rows of one block: columns grow by blocks, so that growing copies nothing. */
const blockBits = 16
const blockRows = 1 << blockBits
const blockMask = blockRows - 1

/** A string with its places in a list and a map, without its characters; measured. */
const bytesPerValue = 80

/** One column of the data, in typed arrays. */
export interface CellColumn extends Iterable<Cell> {
  readonly length: number
  /** What it takes, about. */
  readonly bytes: ColumnBytes
  /** The value of a row; null if it is missing. */
  at(row: number): Cell
}

/** A growing column of numbers of one type. */
class Blocks<T extends Float64Array | Uint32Array | Int8Array> {
  readonly #blocks: T[] = []
  readonly #allocate: (length: number) => T
  length = 0

  constructor(allocate: (length: number) => T) {
    this.#allocate = allocate
  }

  push(value: number): void {
    const row = this.length++
    const block = row >>> blockBits
    if (block === this.#blocks.length) this.#blocks.push(this.#allocate(blockRows))
    this.#blocks[block]![row & blockMask] = value
  }

  at(row: number): number {
    return this.#blocks[row >>> blockBits]![row & blockMask]!
  }

  /** Allocated bytes. */
  get bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + block.byteLength, 0)
  }

  flat(): T {
    const whole = this.#allocate(this.length)
    this.#blocks.forEach((block, i) => {
      whole.set(block.subarray(0, this.length - i * blockRows), i * blockRows)
    })
    return whole
  }
}

/** Strings, each stored once; a row holds its number. 4 bytes per row. */
export class StringColumn implements CellColumn {
  readonly #codes = new Blocks((length) => new Uint32Array(length))
  readonly #numbers = new Map<string, number>()
  #valueBytes = 0
  /** Distinct values, in the order of their first row. */
  readonly values: string[] = []

  get length(): number {
    return this.#codes.length
  }

  get bytes(): ColumnBytes {
    return { rows: this.#codes.bytes, values: this.#valueBytes }
  }

  push(value: string | null): void {
    if (value === null) {
      this.#codes.push(0)
      return
    }
    let code = this.#numbers.get(value)
    if (code === undefined) {
      this.values.push(value)
      code = this.values.length
      this.#numbers.set(value, code)
      this.#valueBytes += bytesPerValue + value.length
    }
    this.#codes.push(code)
  }

  at(row: number): string | null {
    const code = this.#codes.at(row)
    return code === 0 ? null : this.values[code - 1]!
  }

  /** Number of the row's value in `values`, or −1 if it is missing. */
  codeAt(row: number): number {
    return this.#codes.at(row) - 1
  }

  *[Symbol.iterator](): Iterator<string | null> {
    for (let row = 0; row < this.length; row++) yield this.at(row)
  }
}

/** Finite numbers; NaN stands for a missing one. 8 bytes per row. */
export class NumberColumn implements CellColumn {
  readonly #numbers = new Blocks((length) => new Float64Array(length))

  get length(): number {
    return this.#numbers.length
  }

  get bytes(): ColumnBytes {
    return { rows: this.#numbers.bytes, values: 0 }
  }

  push(value: number | null): void {
    this.#numbers.push(value ?? Number.NaN)
  }

  at(row: number): number | null {
    const value = this.#numbers.at(row)
    return Number.isNaN(value) ? null : value
  }

  /** All rows in one array; NaN where the number is missing. */
  flat(): Float64Array {
    return this.#numbers.flat()
  }

  *[Symbol.iterator](): Iterator<number | null> {
    for (let row = 0; row < this.length; row++) yield this.at(row)
  }
}

/** Labels: 1, 0, or −1 for rows without one. 1 byte per row. */
export class LabelColumn {
  readonly #labels = new Blocks((length) => new Int8Array(length))

  push(label: number): void {
    this.#labels.push(label)
  }

  flat(): Int8Array {
    return this.#labels.flat()
  }
}

/** A column of given values: strings if one of them is, else numbers. */
export function columnOf(cells: readonly Cell[]): CellColumn {
  const strings = cells.some((cell) => typeof cell === 'string')
  if (strings) {
    const column = new StringColumn()
    for (const cell of cells) column.push(cell === null ? null : String(cell))
    return column
  }
  const column = new NumberColumn()
  for (const cell of cells) column.push(cell as number | null)
  return column
}

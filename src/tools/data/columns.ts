import { Blocks, type KeptRows } from '../../base/column-blocks.ts'
import { formatBytes } from '../../base/terminal.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import { type Cell, SpecError } from './source.ts'

/** A string with its places in a list and a map, without its characters; measured. */
const bytesPerValue = 80

/** One column of the data, in typed arrays. */
export interface CellColumn extends Iterable<FeatureValue> {
  readonly length: number
  /** Memory that it takes, about. */
  readonly bytes: ColumnBytes
  /** The value of a row; null if it is missing. Throws an Error for a row that was let go. */
  at(row: number): FeatureValue
  /** Lets go of a block's other rows. */
  keep(kept: KeptRows, block: number): void
}

/** Strings, each stored once; a row holds its number, in 1, 2 or 4 bytes. */
export class StringColumn implements CellColumn {
  readonly #codes = new Blocks([Uint8Array, Uint16Array, Uint32Array])
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

  keep(kept: KeptRows, block: number): void {
    this.#codes.keep(kept, block)
  }

  /** Number of the row's value in `values`, or −1 if it is missing. */
  codeAt(row: number): number {
    return this.#codes.at(row) - 1
  }

  *[Symbol.iterator](): Iterator<string | null> {
    for (let row = 0; row < this.length; row++) yield this.at(row)
  }
}

/** Finite numbers; NaN stands for a missing one. 4 bytes per row where all of a block are float32, else 8. */
export class NumberColumn implements CellColumn {
  readonly #numbers = new Blocks([Float32Array, Float64Array])

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

  keep(kept: KeptRows, block: number): void {
    this.#numbers.keep(kept, block)
  }

  /** All rows in one array; NaN where the number is missing. */
  flat(): Float64Array {
    return this.#numbers.copyTo(new Float64Array(this.length))
  }

  *[Symbol.iterator](): Iterator<number | null> {
    for (let row = 0; row < this.length; row++) yield this.at(row)
  }
}

/** Labels: 1, 0, or −1 for rows without one. 1 byte per row. */
export class LabelColumn {
  readonly #labels = new Blocks([Int8Array])

  push(label: number): void {
    this.#labels.push(label)
  }

  flat(): Int8Array {
    return this.#labels.copyTo(new Int8Array(this.#labels.length))
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

/**
 * Share of the available memory that columns and what is made of them may take; the rest is for the program, and for
 * garbage.
 */
const usable = 0.75

/** Bytes that the process may still take, limits of containers included. */
export const usableMemory = (): number => usable * process.availableMemory()

/** Memory that columns and the data made of them take, bytes. */
export interface ColumnBytes {
  /** Grows with every row. */
  rows: number
  /** Distinct values, which may all have been met. */
  values: number
}

/** Foresees whether rows that are being read fit into memory, from what they have taken so far. */
export class MemoryCheck {
  readonly #available: number

  /** `available`: bytes. */
  constructor(available = usableMemory()) {
    this.#available = available
  }

  /**
   * `done`: share of the data that the `rows` rows are; `sample`: share of all rows that is read, where it can be less.
   * Throws a SpecError if they will not fit.
   */
  check(
    rows: number,
    done: number | undefined,
    taken: ColumnBytes,
    { file, sample }: { file: string; sample?: number | undefined },
  ): void {
    const factor = done === undefined || done <= 0 ? 1 : 1 / Math.min(1, done)
    const total = taken.rows * factor + taken.values
    if (total <= this.#available) return
    const expected = done ? `about ${Math.round((rows * factor) / 1000).toLocaleString('en')},000 rows` : `${rows} rows`
    const share = sample && roundDown((this.#available / total) * sample)
    const fewer = share ? `fewer rows (data.sample: ${share})` : 'fewer rows'
    const message = `${expected} would take ${formatBytes(total)} of memory, and ${formatBytes(this.#available)} are available: give ${fewer}, or more memory`
    throw new SpecError(file, [{ path: '/data', message }])
  }
}

/** Rounds a positive number down to one significant digit. */
function roundDown(value: number): number {
  const step = 10 ** Math.floor(Math.log10(value))
  return Number((Math.floor(value / step) * step).toPrecision(1))
}

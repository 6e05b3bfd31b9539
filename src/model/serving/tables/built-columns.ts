import type { TableColumn } from '../../../schemas/feature-table.ts'
import { type ArrayType, bytesOf, codeType } from './bytes.ts'
import { type Cell, Codes, finite, Numbers } from './column-values.ts'
import type { ListsColumn } from './lists-column.ts'
import type { NarrowNumbers } from './narrow-numbers.ts'
import { NumberReader, textOf } from './read-number.ts'
import type { RowTexts, StringPool } from './string-pool.ts'

/*
 * Columns of a table while it is built: what they hold decides how they are stored.
 */

/** Kinds of columns; `detected`: of numbers if all its texts are numbers, else of strings. */
export type ColumnKind = 'string' | 'number' | 'detected' | 'list'

/** Texts that are no numbers were read in columns that might have been numbers: the rows have to be read again. */
export class NotNumbers extends Error {
  readonly columns: readonly number[]

  constructor(columns: readonly number[]) {
    super('not all texts of a column are numbers')
    this.columns = columns
  }
}

/** Strings of a column from which on their index does not fit into the processor's nearest caches. */
const manyStrings = 4096

/** A column of single values, or of lists. */
export type BuiltColumn = CellColumn | ListsColumn

/** A column of single values. */
export class CellColumn {
  readonly name: string
  readonly #index: number
  readonly #kind: Exclude<ColumnKind, 'list'>
  readonly #codes = new Codes()
  readonly #numbers = new Numbers()
  readonly #reader = new NumberReader()
  #found = false

  constructor(name: string, index: number, kind: Exclude<ColumnKind, 'list'>) {
    this.name = name
    this.#index = index
    this.#kind = kind
  }

  /** Throws an Error where a value doesn't fit. */
  push(cell: Cell): void {
    if (this.#kind === 'string') this.#codes.push(cell === null ? null : String(cell))
    else if (cell === null) this.pushNone()
    else {
      this.#found = true
      this.#numbers.push(finite(cell as number))
    }
  }

  pushNone(): void {
    if (this.#kind === 'string') this.#codes.push(null)
    else this.#numbers.push(Number.NaN)
  }

  /** The code of a text, as UTF-8, in a column of strings. */
  codeOf(bytes: Uint8Array, start: number, end: number): number {
    return this.#codes.codeOf(bytes, start, end)
  }

  /** Adds a string by its code. */
  pushCode(code: number): void {
    this.#codes.numbers.push(code)
  }

  /** The hashes of the texts of rows, until the next call, where that makes adding them faster. */
  hashAll(texts: RowTexts, rows: number): Int32Array | undefined {
    const { pool } = this.#codes
    if (this.#kind !== 'string') return undefined
    return pool.count >= manyStrings ? pool.hashAll(texts, rows) : texts.hashes
  }

  /**
   * Adds finite numbers, NaN for none; `isJson`: texts of them were written as JSON writes numbers. Returns false, and
   * adds none, where the column is one of strings.
   */
  pushNumbers(values: Float64Array, isJson: boolean): boolean {
    if (this.#kind === 'string') return false
    this.#reader.isJson &&= isJson
    this.#found ||= values.some((value) => !Number.isNaN(value))
    this.#numbers.append(values)
    return true
  }

  /**
   * Adds the value of a text, as UTF-8; `hash`: that of `hashAll`. Throws an Error where it doesn't fit, and
   * NotNumbers.
   */
  pushBytes(bytes: Uint8Array, start: number, end: number, hash?: number): void {
    if (this.#kind === 'string') {
      this.pushCode(this.#codes.codeOf(bytes, start, end, hash))
      return
    }
    const value = this.#reader.read(bytes, start, end)
    if (Number.isNaN(value)) throw this.#noNumber(bytes, start, end)
    if (!Number.isFinite(value)) throw new Error(`is no finite number: ${textOf(bytes, start, end).slice(0, 64)}`)
    this.#found = true
    this.#numbers.push(value)
  }

  #noNumber(bytes: Uint8Array, start: number, end: number): Error {
    if (this.#kind === 'detected') return new NotNumbers([this.#index])
    return new Error(`must be a number, not ${JSON.stringify(textOf(bytes, start, end).slice(0, 64))}`)
  }

  /** Whether it has values of strings; a column of no values at all is one of strings. */
  get isStrings(): boolean {
    return this.#kind === 'string' || (this.#kind === 'detected' && !this.#found)
  }

  /** Bytes of a row. */
  get bytes(): number {
    return bytesOf(this.type)
  }

  /** The type of the number that a row stores. */
  get type(): ArrayType {
    return this.isStrings ? codeType(this.#codes.codeBytes) : this.#numbers.type
  }

  /** The numbers that rows store. */
  get stored(): NarrowNumbers {
    return this.#kind === 'string' ? this.#codes.numbers : this.#numbers.numbers
  }

  get pool(): StringPool | undefined {
    return this.isStrings ? this.#codes.pool : undefined
  }

  /** `offsets`, `bytes`: places of its strings. */
  describe(place: number, offsets: number, bytes: number): TableColumn {
    const { name } = this
    if (!this.isStrings)
      return { name, kind: 'number', place, type: this.#numbers.type, exact_text: this.#reader.isJson }
    const { codeBytes, pool } = this.#codes
    return { name, kind: 'string', place, code_bytes: codeBytes, strings: pool.count, offsets, bytes }
  }
}

import { type NumberType, numberTypes, type TableColumn } from '../../../schemas/feature-table.ts'
import { type ArrayType, bytesOf, codeType } from './bytes.ts'
import { NarrowNumbers } from './narrow-numbers.ts'
import { isJsonNumber, readNumber, textOf } from './read-number.ts'
import { StringPool } from './string-pool.ts'

/*
 * Columns of a table while it is built: what they hold decides how they are stored.
 */

/** A single value; null: none. */
type Cell = string | number | null

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

/** Codes of strings: 0 where there is none. */
class Codes {
  readonly pool = new StringPool()
  readonly numbers = new NarrowNumbers(Uint8Array, Uint16Array, Uint32Array)

  push(value: string | null): void {
    this.numbers.push(value === null ? 0 : this.pool.add(value) + 1)
  }

  codeOf(bytes: Uint8Array, start: number, end: number): number {
    return this.pool.addBytes(bytes, start, end) + 1
  }

  get codeBytes(): 1 | 2 | 4 {
    const { count } = this.pool
    return count < 2 ** 8 ? 1 : count < 2 ** 16 ? 2 : 4
  }
}

/** Numbers, NaN where there is none. */
class Numbers {
  readonly numbers = new NarrowNumbers(Float32Array, Float64Array)
  readonly #fits: Record<NumberType, boolean> = { uint8: true, int16: true, int32: true, float32: true, float64: true }
  #least = 0
  #largest = 0

  push(value: number): void {
    this.numbers.push(value)
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

/** A column of single values, or of lists. */
export type BuiltColumn = CellColumn | ListsColumn

/** A column of single values. */
export class CellColumn {
  readonly name: string
  readonly #index: number
  readonly #kind: Exclude<ColumnKind, 'list'>
  readonly #codes = new Codes()
  readonly #numbers = new Numbers()
  /** Whether numbers, written as JSON, are the texts that they were read from. */
  #exact = true
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

  /** Adds the value of a text, as UTF-8. Throws an Error where it doesn't fit, and NotNumbers. */
  pushBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.#kind === 'string') {
      this.pushCode(this.codeOf(bytes, start, end))
      return
    }
    const value = readNumber(bytes, start, end)
    if (Number.isNaN(value)) throw new NotNumbers([this.#index])
    if (!Number.isFinite(value)) throw new Error(`is no finite number: ${textOf(bytes, start, end).slice(0, 64)}`)
    this.#found = true
    if (this.#exact) this.#exact = isJsonNumber(bytes, start, end, value)
    this.#numbers.push(value)
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
    if (!this.isStrings) return { name, kind: 'number', place, type: this.#numbers.type, exact_text: this.#exact }
    const { codeBytes, pool } = this.#codes
    return { name, kind: 'string', place, code_bytes: codeBytes, strings: pool.count, offsets, bytes }
  }
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Error(`is no finite number: ${value}`)
  return value
}

/** A column of lists, of strings or of numbers. */
export class ListsColumn {
  readonly name: string
  /** Per row, one more than the number of its list's values; 0: no list. */
  readonly counts = new NarrowNumbers(Uint8Array, Uint16Array, Uint32Array)
  /** Per row, the place of its list's first value. */
  readonly firsts = new NarrowNumbers(Uint32Array, Float64Array)
  readonly #separator: Uint8Array
  #codes: Codes | undefined
  #numbers: Numbers | undefined
  #count = 0
  #longest = 0

  /** `separator`: between the values of lists that are texts. */
  constructor(name: string, separator = '') {
    this.name = name
    this.#separator = Buffer.from(separator)
  }

  /** Throws an Error where a value doesn't fit. */
  push(cell: Cell | readonly Cell[]): void {
    if (cell === null) {
      this.pushNone()
      return
    }
    if (!Array.isArray(cell)) throw new Error('must be a list')
    const list: readonly Cell[] = cell
    const first = this.#count
    for (const item of list) {
      if (item === null) throw new Error('has a list with a missing value')
      if (typeof item === 'number') {
        if (this.#codes) throw new Error('has lists of numbers and of strings')
        this.#numbers ??= new Numbers()
        this.#numbers.push(finite(item))
      } else {
        if (typeof item !== 'string') throw new Error('has a list in a list')
        if (this.#numbers) throw new Error('has lists of numbers and of strings')
        this.#codes ??= new Codes()
        this.#codes.push(item)
      }
      this.#count++
    }
    this.#end(first)
  }

  pushNone(): void {
    this.firsts.push(this.#count)
    this.counts.push(0)
  }

  /** Adds the list of a text, as UTF-8. */
  pushBytes(bytes: Uint8Array, start: number, end: number): void {
    this.#codes ??= new Codes()
    const first = this.#count
    for (let at = start; at <= end; ) {
      const next = this.#separatorIn(bytes, at, end)
      this.#codes.numbers.push(this.#codes.codeOf(bytes, at, next))
      this.#count++
      at = next + this.#separator.length
    }
    this.#end(first)
  }

  /** The place of the next separator; `end`: there is none. */
  #separatorIn(bytes: Uint8Array, start: number, end: number): number {
    const separator = this.#separator
    for (let at = start; at <= end - separator.length; at++) {
      let equal = 0
      while (equal < separator.length && bytes[at + equal] === separator[equal]) equal++
      if (equal === separator.length) return at
    }
    return end
  }

  /** Ends a list whose values are there. */
  #end(first: number): void {
    const length = this.#count - first
    this.firsts.push(first)
    this.counts.push(length + 1)
    this.#longest = Math.max(this.#longest, length)
    if (this.#count > 2 ** 32 - 2) throw new Error('has more than 2^32 values in lists')
  }

  readonly bytes = 8

  /** Values of all lists. */
  get count(): number {
    return this.#count
  }

  /** The numbers that are stored for values; undefined: there are none. */
  get items(): NarrowNumbers | undefined {
    return (this.#numbers ?? this.#codes)?.numbers
  }

  get itemType(): ArrayType {
    return this.#numbers?.type ?? codeType(this.#codes?.codeBytes ?? 1)
  }

  get pool(): StringPool | undefined {
    return this.#numbers ? undefined : (this.#codes?.pool ?? empty)
  }

  /** `offsets`, `bytes`: places of its strings; `values`: of its values. */
  describe(place: number, offsets: number, bytes: number, values: number): TableColumn {
    const { pool } = this
    const items = pool
      ? {
          kind: 'string' as const,
          code_bytes: (this.#codes?.codeBytes ?? 1) as 1 | 2 | 4,
          strings: pool.count,
          offsets,
          bytes,
        }
      : { kind: 'number' as const, type: this.#numbers!.type }
    return { name: this.name, kind: 'list', place, items, count: this.#count, longest: this.#longest, values }
  }
}

const empty = new StringPool()

import { Blocks } from '../../../base/column-blocks.ts'
import { type NumberType, numberTypes, type TableColumn } from '../../../schemas/feature-table.ts'
import { type ArrayType, bytesOf, codeType } from './bytes.ts'
import { StringPool } from './string-pool.ts'

/*
 * Columns of a table while it is built: what they hold decides how they are stored.
 */

/** A single value; null: none. */
type Cell = string | number | null

/** Kinds of columns; `detected`: of numbers if all its texts are numbers, else of strings. */
export type ColumnKind = 'string' | 'number' | 'detected' | 'list'

/** A column whose numbers were read before a text that is none: the rows have to be read again. */
export class NotNumbers extends Error {
  readonly column: number

  constructor(column: number) {
    super('not all texts of a column are numbers')
    this.column = column
  }
}

/** JSON's numbers, with a sign and zeros before them as spreadsheets write them. */
const number = /^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$|^[+-]?\.[0-9]+([eE][+-]?[0-9]+)?$/

/** Texts of a column that are looked up in a Map. */
const mostKnown = 2 ** 14

/** Codes of strings: 0 where there is none. */
class Codes {
  readonly pool = new StringPool()
  readonly #codes = new Blocks([Uint8Array, Uint16Array, Uint32Array])
  /** Codes of the first strings: a look-up in a Map takes a fifth of one in the pool. */
  readonly #first = new Map<string, number>()

  push(value: string | null): void {
    if (value === null) {
      this.#codes.push(0)
      return
    }
    let code = this.#first.get(value)
    if (code === undefined) {
      code = this.pool.add(value) + 1
      if (this.#first.size < mostKnown) this.#first.set(value, code)
    }
    this.#codes.push(code)
  }

  at(place: number): number {
    return this.#codes.at(place)
  }

  get codeBytes(): 1 | 2 | 4 {
    const { count } = this.pool
    return count < 2 ** 8 ? 1 : count < 2 ** 16 ? 2 : 4
  }
}

/** Numbers, NaN where there is none. */
class Numbers {
  readonly #values = new Blocks([Float32Array, Float64Array])
  readonly #fits: Record<NumberType, boolean> = { uint8: true, int16: true, int32: true, float32: true, float64: true }
  #least = 0
  #largest = 0

  push(value: number): void {
    this.#values.push(value)
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

  at(place: number): number {
    return this.#values.at(place)
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
  /** Numbers of the first texts. */
  readonly #texts = new Map<string, number>()
  /** Whether numbers, written as JSON, are the texts that they were read from. */
  #exact = true
  #found = false

  constructor(name: string, index: number, kind: Exclude<ColumnKind, 'list'>) {
    this.name = name
    this.#index = index
    this.#kind = kind
  }

  /** Throws an Error where a value doesn't fit, and NotNumbers. */
  push(cell: Cell): void {
    if (this.#kind === 'string') {
      this.#codes.push(cell === null ? null : String(cell))
      return
    }
    if (cell === null) {
      this.#numbers.push(Number.NaN)
      return
    }
    this.#found = true
    this.#numbers.push(typeof cell === 'string' ? this.#numberIn(cell) : finite(cell))
  }

  #numberIn(text: string): number {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (!number.test(text)) {
      if (this.#kind === 'detected') throw new NotNumbers(this.#index)
      throw new Error(`must be a number, not ${JSON.stringify(text.slice(0, 64))}`)
    }
    const value = Number(text)
    if (!Number.isFinite(value)) throw new Error(`is no finite number: ${text.slice(0, 64)}`)
    if (this.#exact && String(value) !== text) this.#exact = false
    if (this.#texts.size < mostKnown) this.#texts.set(text, value)
    return value
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

  /** The number that a row stores. */
  at(row: number): number {
    if (!this.isStrings) return this.#numbers.at(row)
    return this.#kind === 'string' ? this.#codes.at(row) : 0
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
  readonly #counts = new Blocks([Uint8Array, Uint16Array, Uint32Array])
  readonly #firsts = new Blocks([Uint32Array, Float64Array])
  #codes: Codes | undefined
  #numbers: Numbers | undefined
  #count = 0
  #longest = 0

  constructor(name: string) {
    this.name = name
  }

  /** Throws an Error where a value doesn't fit. */
  push(cell: Cell | readonly Cell[]): void {
    if (cell !== null && !Array.isArray(cell)) throw new Error('must be a list')
    const list = cell ?? []
    this.#firsts.push(this.#count)
    // 0 stands for no list.
    this.#counts.push(cell === null ? 0 : list.length + 1)
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
    this.#longest = Math.max(this.#longest, list.length)
    if (this.#count > 2 ** 32 - 2) throw new Error('has more than 2^32 values in lists')
  }

  readonly bytes = 8

  /** The place of a row's first value, and their number; `undefined`: no list. */
  at(row: number): { first: number; count: number | undefined } {
    const count = this.#counts.at(row)
    return { first: this.#firsts.at(row), count: count === 0 ? undefined : count - 1 }
  }

  /** Values of all lists. */
  get count(): number {
    return this.#count
  }

  /** The number that is stored for a value. */
  item(place: number): number {
    return (this.#numbers ?? this.#codes)!.at(place)
  }

  get itemBytes(): number {
    return this.#numbers ? bytesOf(this.#numbers.type) : (this.#codes?.codeBytes ?? 1)
  }

  /** The type of the numbers; undefined: codes of strings. */
  get itemType(): NumberType | undefined {
    return this.#numbers?.type
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

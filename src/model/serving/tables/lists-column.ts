import type { TableColumn } from '../../../schemas/feature-table.ts'
import { type ArrayType, codeType } from './bytes.ts'
import { type Cell, Codes, finite, Numbers } from './column-values.ts'
import { NarrowNumbers } from './narrow-numbers.ts'
import { StringPool } from './string-pool.ts'

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

  /** The code of a text, as UTF-8, in a column of lists of strings. */
  codeOf(bytes: Uint8Array, start: number, end: number): number {
    this.#codes ??= new Codes()
    return this.#codes.codeOf(bytes, start, end)
  }

  /** Adds a list of strings by the codes of places from `start` to `end`. Throws an Error for one that is 0. */
  pushCodes(start: number, end: number, codeAt: (place: number) => number): void {
    const first = this.#count
    for (let place = start; place < end; place++) this.#pushCode(codeAt(place))
    this.#end(first)
  }

  #pushCode(code: number): void {
    if (code === 0) throw new Error('has a list with a missing value')
    this.#codes!.numbers.push(code)
    this.#count++
  }

  /** Adds the list of a text, as UTF-8. */
  pushBytes(bytes: Uint8Array, start: number, end: number): void {
    const first = this.#count
    for (let at = start; at <= end; ) {
      const next = this.#separatorIn(bytes, at, end)
      this.#pushCode(this.codeOf(bytes, at, next))
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

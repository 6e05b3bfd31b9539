import { NumberReader } from '../../model/serving/tables/read-number.ts'
import { hashOfBytes } from '../../model/serving/tables/string-pool.ts'
import { columnOfLists } from '../data/parquet-column.ts'
import type { Cell, ColumnNumbers, ColumnTexts, GroupColumn, RowGroup } from '../data/source.ts'
import { columnOfTexts } from '../data/text-columns.ts'

/*
 * Groups of rows as arrays in memory that threads share, with what can be known of texts beforehand.
 */

interface PackedTexts extends Omit<ColumnTexts, 'numberOf' | 'numberAll'> {
  /** Number of the text of each row. */
  numbers: Int32Array
}

/** A column by what it holds. */
type PackedColumn =
  | { kind: 'texts'; texts: PackedTexts; numbers?: ColumnNumbers }
  | { kind: 'numbers'; values: Float64Array; absent: Uint8Array; areFinite: boolean }
  | { kind: 'lists'; items: PackedColumn; starts: Int32Array; ends: Int32Array }

export interface PackedGroup {
  rows: number
  /** With their indexes. */
  columns: [number, PackedColumn][]
}

/** Memory for the arrays of a group, which those of a later one take again. */
export class GroupMemory {
  readonly #blocks: SharedArrayBuffer[] = []
  #block = 0
  #used = 0

  /** Gives all of it free. */
  reset(): void {
    this.#block = this.#used = 0
  }

  bytes(length: number): Uint8Array {
    return new Uint8Array(...this.#take(length))
  }

  int32(length: number): Int32Array {
    const [memory, start] = this.#take(4 * length)
    return new Int32Array(memory, start, length)
  }

  float64(length: number): Float64Array {
    const [memory, start] = this.#take(8 * length)
    return new Float64Array(memory, start, length)
  }

  #take(bytes: number): [SharedArrayBuffer, number, number] {
    for (; this.#block < this.#blocks.length; this.#block++, this.#used = 0) {
      const block = this.#blocks[this.#block]!
      const start = this.#used
      if (start + bytes > block.byteLength) continue
      this.#used += Math.ceil(bytes / 8) * 8
      return [block, start, bytes]
    }
    this.#blocks.push(new SharedArrayBuffer(Math.max(blockBytes, bytes)))
    this.#used = Math.ceil(bytes / 8) * 8
    return [this.#blocks[this.#block]!, 0, bytes]
  }
}

/** Least bytes that are asked of the system at a time. */
const blockBytes = 2 ** 20

/** Packs the groups of a source, one after the other. */
export class GroupPacker {
  /** Readers of numbers for columns, by index; undefined once a text was none. */
  readonly #readers = new Map<number, NumberReader | undefined>()

  /** A copy of a group, in `memory`. Arrays that columns share stay shared. */
  pack({ rows, columns }: RowGroup, memory: GroupMemory): PackedGroup {
    const copies = new Copies(memory)
    return {
      rows,
      columns: [...columns].map(([index, column]) => [index, this.#packColumn(index, column, rows, memory, copies)]),
    }
  }

  #packColumn(index: number, column: GroupColumn, rows: number, memory: GroupMemory, copies: Copies): PackedColumn {
    const { texts, lists } = column
    if (lists) {
      const [starts, ends] = [memory.int32(rows), memory.int32(rows)]
      let items = 0
      for (let row = 0; row < rows; row++) {
        starts[row] = lists.startOf(row)
        ends[row] = lists.endOf(row)
        items = Math.max(items, ends[row]!)
      }
      return { kind: 'lists', items: this.#packColumn(index, lists.items, items, memory, copies), starts, ends }
    }
    if (texts === undefined) return packNumbers(column, rows, memory)
    const { shared } = texts
    const numbers = memory.int32(rows)
    if (texts.numberAll) texts.numberAll(numbers)
    else for (let row = 0; row < rows; row++) numbers[row] = texts.numberOf(row)
    const packed = { bytes: copies.bytes(texts.bytes), ...copies.places(texts), numbers }
    if (shared !== undefined) return { kind: 'texts', texts: { ...packed, shared } }
    const found = this.#numbersOf(index, packed, memory)
    if (found) return { kind: 'texts', texts: packed, numbers: found }
    return { kind: 'texts', texts: { ...packed, hashes: hashesOf(packed, memory) } }
  }

  /** The texts of a column as numbers, unless one of them is none. */
  #numbersOf(
    index: number,
    { bytes, starts, ends, numbers }: PackedTexts,
    memory: GroupMemory,
  ): ColumnNumbers | undefined {
    if (!this.#readers.has(index)) this.#readers.set(index, new NumberReader())
    const reader = this.#readers.get(index)
    if (reader === undefined) return undefined
    const { length } = numbers
    const values = memory.float64(length)
    for (let row = 0; row < length; row++) {
      const text = numbers[row]!
      const value = text < 0 ? Number.NaN : reader.read(bytes, starts[text]!, ends[text]!)
      if (text >= 0 && !Number.isFinite(value)) {
        this.#readers.set(index, undefined)
        return undefined
      }
      values[row] = value
    }
    return { values, isJson: reader.isJson }
  }
}

/** Copies of arrays, of each only one. */
class Copies {
  readonly #memory: GroupMemory
  readonly #made = new Map<object, Uint8Array | Int32Array>()

  constructor(memory: GroupMemory) {
    this.#memory = memory
  }

  bytes(array: Uint8Array): Uint8Array {
    return this.#copy(array, () => this.#memory.bytes(array.length))
  }

  places({ starts, ends }: Pick<ColumnTexts, 'starts' | 'ends'>): Pick<ColumnTexts, 'starts' | 'ends'> {
    const copy = (array: Int32Array) => this.#copy(array, () => this.#memory.int32(array.length))
    return { starts: copy(starts), ends: copy(ends) }
  }

  #copy<T extends Uint8Array | Int32Array>(array: T, room: () => T): T {
    const known = this.#made.get(array)
    if (known) return known as T
    const copy = room()
    copy.set(array)
    this.#made.set(array, copy)
    return copy
  }
}

function hashesOf({ bytes, starts, ends, numbers }: PackedTexts, memory: GroupMemory): Int32Array {
  const { length } = numbers
  const hashes = memory.int32(length)
  for (let row = 0; row < length; row++) {
    const text = numbers[row]!
    hashes[row] = text < 0 ? 0 : hashOfBytes(bytes, starts[text]!, ends[text]!)
  }
  return hashes
}

function packNumbers(column: GroupColumn, rows: number, memory: GroupMemory): PackedColumn {
  const [values, absent] = [memory.float64(rows), memory.bytes(rows)]
  let areFinite = true
  for (let row = 0; row < rows; row++) {
    const value = column.at(row) as number | null
    absent[row] = value === null ? 1 : 0
    values[row] = value ?? Number.NaN
    areFinite &&= value === null || Number.isFinite(value)
  }
  return { kind: 'numbers', values, absent, areFinite }
}

/** The group that was packed. */
export function unpack({ rows, columns }: PackedGroup): RowGroup {
  return { rows, columns: new Map(columns.map(([index, column]) => [index, unpackColumn(column)])) }
}

function unpackColumn(column: PackedColumn): GroupColumn {
  if (column.kind === 'lists') {
    const { starts, ends } = column
    const items = unpackColumn(column.items) as GroupColumn<Cell>
    return columnOfLists({ items, startOf: (row) => starts[row]!, endOf: (row) => ends[row]! })
  }
  if (column.kind === 'numbers') {
    const { values, absent, areFinite } = column
    const at = (row: number) => (absent[row] ? null : values[row]!)
    return areFinite ? { at, numbers: { values, isJson: true } } : { at }
  }
  const { numbers, ...texts } = column.texts
  const unpacked = columnOfTexts({ ...texts, numberOf: (row) => numbers[row]! })
  return column.numbers ? { ...unpacked, numbers: column.numbers } : unpacked
}

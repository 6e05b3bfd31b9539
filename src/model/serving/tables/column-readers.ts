import type { TableColumn } from '../../../schemas/feature-table.ts'
import { type ArrayType, type Bytes, bytesOf, codeType, numbersOf } from './bytes.ts'
import { type StoredStrings, stringAt } from './string-pool.ts'

/** A value of a row: null where it has none. */
export type TableValue = string | number | (string | number)[] | null

/** The files of rows, of strings and of the values of lists. */
export interface ColumnFiles {
  rows: Bytes
  strings: Bytes
  lists: Bytes
}

/** A column of single values. Reading makes no garbage; only `text` makes a string. */
export type ColumnReader =
  /** A code is 1 more than the number of a string; 0: no value. */
  | { kind: 'string'; strings: number; code(row: number): number; text(code: number): string }
  /** NaN: no value. */
  | { kind: 'number'; exactText: boolean; number(row: number): number }
  | ListReader

export interface ListReader {
  kind: 'list'
  longest: number
  /** Values of all lists. */
  total: number
  /** Values of a row; −1: it has no list. */
  count(row: number): number
  /** The place of a row's first value. */
  first(row: number): number
  items:
    | { kind: 'string'; strings: number; code(place: number): number; text(code: number): string }
    | { kind: 'number'; number(place: number): number }
}

const noList = 2 ** 32 - 1

/** Throws RangeError where a file is too short. */
export function columnReader(column: TableColumn, rowBytes: number, files: ColumnFiles): ColumnReader {
  const { rows, strings, lists } = files
  const { place } = column
  switch (column.kind) {
    case 'string': {
      const code = inRows(rows, codeType(column.code_bytes), place, rowBytes)
      return { kind: 'string', strings: column.strings, code, text: texts(strings, column) }
    }
    case 'number':
      return {
        kind: 'number',
        exactText: column.exact_text,
        number: inRows(rows, column.type, place, rowBytes),
      }
    case 'list': {
      const [first, count] = [place, place + 4].map((at) => inRows(rows, 'uint32', at, rowBytes)) as [Read, Read]
      const { items, longest, values } = column
      const type = items.kind === 'string' ? codeType(items.code_bytes) : items.type
      const all = numbersOf(lists, type, values, column.count)
      const read: Read = (place) => all[place]!
      return {
        kind: 'list',
        longest,
        total: column.count,
        first,
        count(row) {
          const known = count(row)
          return known === noList ? -1 : known
        },
        items:
          items.kind === 'string'
            ? { kind: 'string', strings: items.strings, code: read, text: texts(strings, items) }
            : { kind: 'number', number: read },
      }
    }
  }
}

type Read = (at: number) => number

/** Numbers at a place of each row, whose bytes are a multiple of a number's. */
function inRows(rows: Bytes, type: ArrayType, place: number, rowBytes: number): Read {
  const size = bytesOf(type)
  const all = numbersOf(rows, type)
  const [first, apart] = [place / size, rowBytes / size]
  if (!Number.isInteger(first) || !Number.isInteger(apart)) throw new RangeError(`has ${type} at byte ${place}`)
  return (row) => all[row * apart + first]!
}

function texts(
  file: Bytes,
  { strings, offsets, bytes }: { strings: number; offsets: number; bytes: number },
): (code: number) => string {
  const stored = storedStrings(file, strings, offsets, bytes)
  return (code) => stringAt(stored, code - 1)
}

export function storedStrings(file: Bytes, strings: number, offsets: number, bytes: number): StoredStrings {
  const places = numbersOf(file, 'uint32', offsets, strings + 1)
  return { offsets: places, bytes: numbersOf(file, 'uint8', bytes, places[strings]!) }
}

/** The value of a row, for people. */
export function cellOf(column: ColumnReader, row: number): TableValue {
  if (column.kind === 'string') {
    const code = column.code(row)
    return code === 0 ? null : column.text(code)
  }
  if (column.kind === 'number') {
    const number = column.number(row)
    return Number.isNaN(number) ? null : number
  }
  const [count, first] = [column.count(row), column.first(row)]
  if (count < 0) return null
  const { items } = column
  return Array.from({ length: count }, (_, i) =>
    items.kind === 'string' ? items.text(items.code(first + i)) : items.number(first + i),
  )
}

/** Whether a column has no value in any row: it is stored as one of strings, and fits any other. */
export function isEmpty(column: ColumnReader): boolean {
  return column.kind === 'string' && column.strings === 0
}

/** A column without values, of the same kind as another. */
export function noneOf(column: ColumnReader): ColumnReader {
  switch (column.kind) {
    case 'string':
      return { ...column, strings: 0, code: () => 0 }
    case 'number':
      return { ...column, exactText: true, number: () => Number.NaN }
    case 'list':
      return { ...column, longest: 0, total: 0, first: () => 0, count: () => -1 }
  }
}

/** Why a column can't stand in for that of a table; undefined where it can. */
export function misfit(column: ColumnReader, other: ColumnReader): string | undefined {
  if (isEmpty(column) || isEmpty(other)) return undefined
  const [is, wanted] = [kindOf(column), kindOf(other)]
  const isEmptyList = column.kind === 'list' && other.kind === 'list' && (column.total === 0 || other.total === 0)
  return is === wanted || isEmptyList ? undefined : `has ${is}, and the table's has ${wanted}`
}

function kindOf(column: ColumnReader): string {
  return column.kind === 'list' ? `lists of ${column.items.kind}s` : `${column.kind}s`
}

import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { DescribedRows, TableColumn } from '../../../schemas/feature-table.ts'
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

/** The beginning of each row, and its size, bytes. */
interface RowShape {
  key: DescribedRows['key']
  rowBytes: number
}

/**
 * Throws RangeError where a file is too short, or a place is not in a row. Where the content can't be true, reading
 * throws MODEL_FAILED.
 */
export function columnReader(column: TableColumn, shape: RowShape, files: ColumnFiles): ColumnReader {
  const { rows, strings, lists } = files
  const { name, place } = column
  switch (column.kind) {
    case 'string':
      return {
        kind: 'string',
        strings: column.strings,
        code: codes(inRows(rows, codeType(column.code_bytes), place, shape), column.strings, name),
        text: texts(strings, column, name),
      }
    case 'number':
      return {
        kind: 'number',
        exactText: column.exact_text,
        number: read(inRows(rows, column.type, place, shape)),
      }
    case 'list': {
      const [first, count] = [place, place + 4].map((at) => read(inRows(rows, 'uint32', at, shape))) as [Read, Read]
      const { items, longest, values, count: total } = column
      const type = items.kind === 'string' ? codeType(items.code_bytes) : items.type
      const all = { numbers: numbersOf(lists, type, values, total), apart: 1, first: 0 }
      return {
        kind: 'list',
        longest,
        total,
        first,
        count(row) {
          const known = count(row)
          if (known === noList) return -1
          if (known > longest || first(row) + known > total) throw damaged(name, 'has a list beyond its values')
          return known
        },
        items:
          items.kind === 'string'
            ? {
                kind: 'string',
                strings: items.strings,
                code: codes(all, items.strings, name),
                text: texts(strings, items, name),
              }
            : { kind: 'number', number: read(all) },
      }
    }
  }
}

type Read = (at: number) => number

/** Numbers at equal distances. */
interface Spaced {
  numbers: ArrayLike<number>
  first: number
  apart: number
}

/** Numbers at a place of each row, whose bytes are a multiple of a number's. */
function inRows(rows: Bytes, type: ArrayType, place: number, { key, rowBytes }: RowShape): Spaced {
  const size = bytesOf(type)
  const [first, apart] = [place / size, rowBytes / size]
  if (!Number.isInteger(first) || !Number.isInteger(apart) || place < key.width || place + size > rowBytes)
    throw new RangeError(`has ${type} at byte ${place} of rows of ${rowBytes}`)
  return { numbers: numbersOf(rows, type), first, apart }
}

function read({ numbers, first, apart }: Spaced): Read {
  return (at) => numbers[at * apart + first]!
}

function codes({ numbers, first, apart }: Spaced, strings: number, name: string): Read {
  return (at) => {
    const code = numbers[at * apart + first]!
    if (code > strings) throw damaged(name, 'has a code of no string')
    return code
  }
}

function texts(
  file: Bytes,
  { strings, offsets, bytes }: { strings: number; offsets: number; bytes: number },
  name: string,
): (code: number) => string {
  const stored = storedStrings(file, strings, offsets, bytes)
  const { length } = stored.bytes
  return (code) => {
    const [start, end] = [stored.offsets[code - 1]!, stored.offsets[code]!]
    if (start > end || end > length) throw damaged(name, 'has a string that ends before it begins')
    return stringAt(stored, code - 1)
  }
}

function damaged(column: string, problem: string): ModelError {
  return new ModelError('MODEL_FAILED', `a feature table is damaged: its column ${JSON.stringify(column)} ${problem}`)
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

/** A contradiction in the content of a column of this many rows, if there is one. Reads all of it. */
export function columnProblem(column: ColumnReader, rows: number): string | undefined {
  try {
    if (column.kind === 'number') {
      for (let row = 0; row < rows; row++)
        if (Math.abs(column.number(row)) === Number.POSITIVE_INFINITY) return 'has a number that is not finite'
      return undefined
    }
    for (let row = 0; row < rows; row++) column.kind === 'string' ? column.code(row) : column.count(row)
    const values = column.kind === 'string' ? column : column.items
    if (values.kind === 'string') for (let code = 1; code <= values.strings; code++) values.text(code)
    if (column.kind === 'list')
      for (let place = 0; place < column.total; place++) {
        const { items } = column
        if (items.kind === 'string' ? items.code(place) === 0 : !Number.isFinite(items.number(place)))
          return 'has a list with a missing value'
      }
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
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

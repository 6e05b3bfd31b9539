import type { LogicalType, SchemaElement, SchemaTree } from 'hyparquet'
import type { Cell, GroupColumn, ListCell } from './source.ts'
import type { TextList } from './text-columns.ts'

/** Values of a column as the library decodes them, page by page. */
export type Pages = readonly ArrayLike<unknown>[]

/** Strings of a row group: pages hold their numbers in `texts`. */
export function stringColumn(pages: Pages, rows: number, texts: TextList): GroupColumn<string | null> {
  const numbers = new Int32Array(rows)
  fill(pages, rows, (row, value) => {
    numbers[row] = typeof value === 'number' ? value : -1
  })
  const strings: string[] = []
  const { bytes, starts, ends, count } = texts
  return {
    texts: { bytes, starts, ends, numberOf: (row) => numbers[row]!, shared: count },
    at(row) {
      const number = numbers[row]!
      if (number < 0) return null
      strings[number] ??= texts.textAt(number)
      return strings[number]
    },
  }
}

/** Numbers of a row group. Throws an Error with the row, from 0, of an integer that a number does not hold exactly. */
export function numberColumn(pages: Pages, rows: number): GroupColumn<Cell> {
  const numbers = new Float64Array(rows)
  // NaN is a number here, and not a missing one.
  const absent = new Uint8Array(rows)
  fill(pages, rows, (row, value) => {
    if (value === null || value === undefined) absent[row] = 1
    else numbers[row] = typeof value === 'bigint' ? exact(value, row) : Number(value)
  })
  return { at: (row) => (absent[row] ? null : numbers[row]!) }
}

/** Lists of a row group; `texts`: of strings. Throws like `numberColumn`. */
export function listColumn(pages: Pages, rows: number, texts?: TextList): GroupColumn<ListCell | null> {
  const ends = new Uint32Array(rows)
  const absent = new Uint8Array(rows)
  const all: unknown[] = []
  fill(pages, rows, (row, value) => {
    if (Array.isArray(value)) for (const item of value) all.push(item)
    else absent[row] = 1
    ends[row] = all.length
  })
  try {
    const values: GroupColumn<Cell> = texts ? stringColumn([all], all.length, texts) : numberColumn([all], all.length)
    const startOf = (row: number) => (absent[row] ? -1 : row === 0 ? 0 : ends[row - 1]!)
    return columnOfLists({ items: values, startOf, endOf: (row) => ends[row]! })
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    const { row: place } = error
    throw new ValueError(
      ends.findIndex((end) => end > place),
      error.message,
    )
  }
}

/** The column that lists are. */
export function columnOfLists(lists: NonNullable<GroupColumn['lists']>): GroupColumn<ListCell | null> {
  const { items, startOf, endOf } = lists
  return {
    lists,
    at(row) {
      const start = startOf(row)
      return start < 0 ? null : Array.from({ length: endOf(row) - start }, (_, i) => items.at(start + i))
    },
  }
}

/** A value that can't be read; `row`: from 0, in its row group. */
export class ValueError extends Error {
  readonly row: number

  constructor(row: number, message: string) {
    super(message)
    this.row = row
  }
}

function exact(value: bigint, row: number): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new ValueError(
    row,
    `holds ${value}, beyond ±2^53: write ids as strings, and times as timestamps or in microseconds`,
  )
}

function fill(pages: Pages, rows: number, put: (row: number, value: unknown) => void): void {
  let row = 0
  for (const page of pages) {
    const count = Math.min(page.length, rows - row)
    for (let i = 0; i < count; i++) put(row + i, page[i])
    row += count
  }
  if (row < rows) throw new Error(`ends after ${row} of the ${rows} rows of a row group`)
}

/** The type of a Parquet column's values, for rows and for messages. */
export interface ParquetType {
  /** Undefined: the column can't be used. */
  read: 'string' | 'double' | 'list' | undefined
  /** Type of a list's values. */
  items?: 'string' | 'double'
  /** For people, with its article. Files fit together if it is the same in all. */
  description: string
}

/** The type of a top-level column. Dates and times count as seconds since 1970, true and false as 1 and 0. */
export function parquetTypeOf(tree: SchemaTree): ParquetType {
  const { element, children } = tree
  if (nestedName(element) === 'a list' && children.length > 0) return listType(tree)
  if (children.length > 0) return unusable(nestedName(element))
  if (element.repetition_type === 'REPEATED') return listOf(valueType(element))
  return valueType(element)
}

/** The type of a list of three levels, or of the older two: apache/parquet-format, LogicalTypes.md. */
function listType({ children }: SchemaTree): ParquetType {
  const [repeated] = children
  if (children.length !== 1 || repeated!.element.repetition_type !== 'REPEATED') return unusable('a list')
  const items = repeated!.children
  if (items.length > 1) return unusable('a list of structs')
  const item = items[0] ?? repeated!
  return item.children.length > 0
    ? unusable(`a list of ${nestedName(item.element).slice(2)}s`)
    : listOf(valueType(item.element))
}

function listOf({ read, description }: ParquetType): ParquetType {
  const plural = description.replace(/^an? /, '')
  if (read === undefined || read === 'list') return unusable(`a list of ${plural}`)
  return { read: 'list', items: read, description: `a list of ${plural}s` }
}

function valueType(element: SchemaElement): ParquetType {
  const logical = element.logical_type?.type
  const { type, converted_type: converted } = element
  if (logical === 'NULL') return nothing
  if (converted === 'DECIMAL') return number
  if (converted === 'DATE' || converted?.startsWith('TIMESTAMP') || logical === 'TIMESTAMP' || type === 'INT96')
    return time
  if (converted?.startsWith('TIME') || logical === 'TIME') return unusable('a time of day')
  if (type === 'BYTE_ARRAY') return textTypes.has(converted ?? logical ?? '') ? string : unusable('binary')
  if (type !== 'FIXED_LEN_BYTE_ARRAY') return number
  if (logical === 'UUID') return string
  if (logical === 'FLOAT16') return number
  return unusable(converted === 'INTERVAL' ? 'an interval' : 'binary')
}

const string: ParquetType = { read: 'string', description: 'a string' }
const number: ParquetType = { read: 'double', description: 'a number' }
const nothing: ParquetType = { read: 'double', description: 'a null' }
const time: ParquetType = { read: 'double', description: 'a time' }
const unusable = (description: string): ParquetType => ({ read: undefined, description })

const textTypes = new Set(['UTF8', 'STRING', 'ENUM', 'JSON'])

function nestedName({ converted_type: converted, logical_type: logical }: SchemaElement): string {
  const kind = converted ?? logical?.type
  if (kind === 'LIST') return 'a list'
  return kind === 'MAP' || kind === 'MAP_KEY_VALUE' ? 'a map' : 'a struct'
}

/** Adds the older name of a type that a file gives by its newer name alone: the library decodes by the older one. */
export function withConvertedType(element: SchemaElement): SchemaElement {
  const logical = element.logical_type
  if (element.converted_type !== undefined || logical === undefined) return element
  const converted = convertedType(logical)
  if (converted === undefined) return element
  const scale = logical.type === 'DECIMAL' ? logical.scale : undefined
  return { ...element, converted_type: converted, ...(scale !== undefined && { scale }) }
}

function convertedType({ type }: LogicalType): SchemaElement['converted_type'] {
  if (type === 'DECIMAL' || type === 'DATE' || type === 'JSON' || type === 'LIST') return type
  return type === 'STRING' ? 'UTF8' : undefined
}

import { reasonOf } from '../../base/errors.ts'
import { type BuiltColumn, CellColumn } from '../../model/serving/tables/built-columns.ts'
import { ListsColumn } from '../../model/serving/tables/lists-column.ts'
import type { StringPool } from '../../model/serving/tables/string-pool.ts'
import type { ColumnTexts, GroupColumn, RowCell } from '../data/source.ts'

/** Adds the values of all rows to a column where they are known to be numbers that it takes; else returns false. */
export function pushNumbers(column: BuiltColumn, { numbers }: GroupColumn): boolean {
  return numbers !== undefined && column instanceof CellColumn && column.pushNumbers(numbers.values, numbers.isJson)
}

/** Adds the value of a row to a column. */
export function pusherOf(column: BuiltColumn, cells: GroupColumn, rows: number): (row: number) => void {
  const { texts, lists } = cells
  if (lists?.items.texts && column instanceof ListsColumn) {
    const codeAt = codesOf(column, lists.items.texts)
    return (row) => {
      const start = lists.startOf(row)
      if (start < 0) column.pushNone()
      else column.pushCodes(start, lists.endOf(row), codeAt)
    }
  }
  if (texts === undefined) return (row) => column.push(cells.at(row) as never)
  if (texts.shared !== undefined && column instanceof CellColumn) {
    const codeAt = codesOf(column, texts)
    return (row) => column.pushCode(codeAt(row))
  }
  const { bytes, starts, ends } = texts
  const hashes = column instanceof CellColumn ? column.hashAll(texts, rows) : undefined
  return (row) => {
    const text = texts.numberOf(row)
    if (text < 0) column.pushNone()
    else column.pushBytes(bytes, starts[text]!, ends[text]!, hashes?.[row])
  }
}

/** The codes of texts that several rows share, of which each is looked up once; 0: no text. */
function codesOf(column: BuiltColumn, { bytes, starts, ends, shared = 0, numberOf }: ColumnTexts) {
  const codes = new Int32Array(shared)
  return (row: number): number => {
    const text = numberOf(row)
    if (text < 0) return 0
    codes[text] ||= column.codeOf(bytes, starts[text]!, ends[text]!)
    return codes[text]
  }
}

/** The number of the key of a row, which is added if it is new. */
export function numberOfKeys(keys: StringPool, cells: GroupColumn, rows: number): (row: number) => number {
  const { texts } = cells
  if (texts === undefined) return (row) => keyOf(keys, cells.at(row))
  const { bytes, starts, ends } = texts
  const hashes = keys.hashAll(texts, rows)
  return (row) => {
    const text = texts.numberOf(row)
    if (text < 0) throw new Error('the key is empty')
    return keys.addBytes(bytes, starts[text]!, ends[text]!, hashes[row])
  }
}

/** The number of a key, which is added if it is new. Throws an Error where it is none. */
export function keyOf(keys: StringPool, cell: RowCell): number {
  if (cell === null || cell === '') throw new Error('the key is empty')
  if (typeof cell === 'number') {
    if (!Number.isSafeInteger(cell)) throw new Error(`the key ${cell} is no integer within ±(2^53 − 1)`)
    return keys.add(String(cell))
  }
  if (typeof cell !== 'string') throw new Error('the key is a list')
  try {
    return keys.add(cell)
  } catch (error) {
    throw new Error(`the key ${reasonOf(error)}`)
  }
}

import { reasonOf } from '../../base/errors.ts'
import { type BuiltColumn, CellColumn } from '../../model/serving/tables/built-columns.ts'
import type { StringPool } from '../../model/serving/tables/string-pool.ts'
import type { GroupColumn, RowCell } from '../data/source.ts'

/** Adds the value of a row to a column. */
export function pusherOf(column: BuiltColumn, cells: GroupColumn): (row: number) => void {
  const { texts } = cells
  if (texts === undefined) return (row) => column.push(cells.at(row) as never)
  const { bytes, starts, ends, shared } = texts
  if (shared !== undefined && column instanceof CellColumn) {
    // Each text is looked up once.
    const codes = new Int32Array(shared)
    return (row) => {
      const text = texts.numberOf(row)
      if (text < 0) column.pushNone()
      else {
        codes[text] ||= column.codeOf(bytes, starts[text]!, ends[text]!)
        column.pushCode(codes[text])
      }
    }
  }
  return (row) => {
    const text = texts.numberOf(row)
    if (text < 0) column.pushNone()
    else column.pushBytes(bytes, starts[text]!, ends[text]!)
  }
}

/** The number of the key of a row, which is added if it is new. */
export function numberOfKeys(keys: StringPool, cells: GroupColumn): (row: number) => number {
  const { texts } = cells
  if (texts === undefined) return (row) => keyOf(keys, cells.at(row))
  const { bytes, starts, ends } = texts
  return (row) => {
    const text = texts.numberOf(row)
    if (text < 0) throw new Error('the key is empty')
    return keys.addBytes(bytes, starts[text]!, ends[text]!)
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

import type { LogRecord } from '../../schemas/prediction-log.ts'
import { jsonText } from '../json-text.ts'
import type { ColumnType } from './column-shape.ts'
import { nullsColumn, type StructType } from './file-schema.ts'

/** A record as a row: its columns, and the places of its nulls. */
export function rowOf(record: object, type: StructType): Record<string, unknown> {
  const path: (string | number)[] = []
  const nulls: string[] = []
  const row = cellsOf(record, type)
  if (nulls.length > 0) row[nullsColumn] = nulls
  return row

  function cellsOf(value: object, { columns }: StructType): Record<string, unknown> {
    // Without a prototype: the library also asks for columns that a record has no value of, such as `constructor`.
    const cells = Object.create(null) as Record<string, unknown>
    for (const [name, cell] of Object.entries(value)) {
      if (cell === null) nulls.push([...path, name].map((part) => `/${escaped(String(part))}`).join(''))
      const column = columns.get(name)
      if (cell === null || column === undefined) continue
      path.push(name)
      cells[name] = cellOf(cell, column)
      path.pop()
    }
    return cells
  }

  function cellOf(value: unknown, column: ColumnType): unknown {
    if (value === null) return null
    switch (column.kind) {
      case 'struct':
        return cellsOf(value as object, column)
      case 'list':
        return (value as unknown[]).map((item, i) => {
          path.push(i)
          const cell = cellOf(item, column.items)
          path.pop()
          return cell
        })
      case 'time':
        return BigInt(Date.parse(value as string))
      case 'json':
        return jsonText(value)
      default:
        return value
    }
  }
}

/** Columns whose text is JSON, by the names on their paths. */
export type JsonColumns = Map<string, JsonColumns | true>

export function jsonColumns(paths: readonly (readonly string[])[]): JsonColumns {
  const tree: JsonColumns = new Map()
  for (const path of paths) {
    let level = tree
    for (const name of path.slice(0, -1)) {
      const known = level.get(name)
      const next: JsonColumns = known instanceof Map ? known : new Map()
      level.set(name, next)
      level = next
    }
    level.set(path.at(-1)!, true)
  }
  return tree
}

/** The record of a row, as `rowOf` made it, read by the library. */
export function recordOfRow(row: Record<string, unknown>, json: JsonColumns): LogRecord {
  const { [nullsColumn]: nulls, ...cells } = row
  const record = fromCells(cells, json)
  for (const pointer of (nulls as string[] | null) ?? []) putNull(record, pointer)
  return record as unknown as LogRecord
}

function fromCells(cells: Record<string, unknown>, json: JsonColumns | true | undefined): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const name in cells) {
    const cell = cells[name]
    if (cell !== null && cell !== undefined) values[name] = fromCell(cell, json instanceof Map ? json.get(name) : json)
  }
  return values
}

function fromCell(cell: unknown, json: JsonColumns | true | undefined): unknown {
  if (cell === null || cell === undefined) return null
  if (Array.isArray(cell)) return cell.map((item) => fromCell(item, json))
  if (typeof cell === 'string') return json === true ? JSON.parse(cell) : cell
  if (typeof cell === 'bigint') return Number(cell)
  if (cell instanceof Date) return cell.toISOString()
  return typeof cell === 'object' ? fromCells(cell as Record<string, unknown>, json) : cell
}

function putNull(record: Record<string, unknown>, pointer: string): void {
  const names = pointer.split('/').slice(1).map(unescaped)
  let place: Record<string, unknown> | undefined = record
  for (const name of names.slice(0, -1)) place = place?.[name] as Record<string, unknown> | undefined
  if (place !== undefined) place[names.at(-1)!] = null
}

const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')
const unescaped = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~')

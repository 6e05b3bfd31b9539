import type { SchemaElement } from 'hyparquet-writer'
import type { ColumnShape, ColumnType } from './column-shape.ts'

/** The columns of a Parquet file of records. */
export interface FileSchema {
  type: StructType
  elements: SchemaElement[]
  /** Paths, by names of properties, of columns whose text is JSON. */
  json: string[][]
}

export type StructType = Extract<ColumnType, { kind: 'struct' }>

/** Values that are null, by JSON pointers: a column does not tell these from properties that are absent. */
export const nullsColumn = 'nulls'
/** The key of the file's metadata that has `json`. */
export const jsonKey = 'multigate.json'

/** The schema of records by their shape. Throws an Error where they have a property of the name that it needs. */
export function schemaOf(shape: ColumnShape): FileSchema {
  let schema = elementsOf(shape, isName)
  // Libraries name columns by their paths with dots.
  if (new Set(schema.paths).size < schema.paths.length)
    schema = elementsOf(shape, (name) => isName(name) && !name.includes('.'))
  return schema
}

/** Whether a name can be a column's; libraries take a byte order mark away. */
const isName = (name: string) =>
  name !== '' && name !== '__proto__' && name.isWellFormed() && !name.startsWith('\ufeff')

function elementsOf(shape: ColumnShape, isColumn: (name: string) => boolean): FileSchema & { paths: string[] } {
  const found = shape.type(isColumn)
  if (found?.kind !== 'struct') throw new Error('its records have properties that are no names of columns')
  if (found.columns.has(nullsColumn)) throw new Error(`its records have a property "${nullsColumn}"`)
  const type: StructType = { kind: 'struct', columns: new Map(found.columns) }
  type.columns.set(nullsColumn, { kind: 'list', items: { kind: 'text' } })
  const elements: SchemaElement[] = [{ name: 'root', num_children: type.columns.size }]
  const [json, paths]: [string[][], string[]] = [[], []]
  for (const [name, column] of type.columns) add(name, column, [name], [name])
  return { type, elements, json, paths }

  /** `place`: by properties alone; `path`: with the levels of lists. */
  function add(name: string, column: ColumnType, place: string[], path: string[]): void {
    paths.push(path.join('.'))
    if (column.kind === 'json') json.push(place)
    const optional = { name, repetition_type: 'OPTIONAL' } as const
    if (column.kind === 'list') {
      elements.push({ ...optional, converted_type: 'LIST', num_children: 1 })
      elements.push({ name: 'list', repetition_type: 'REPEATED', num_children: 1 })
      add('element', column.items, place, [...path, 'list', 'element'])
    } else if (column.kind === 'struct') {
      elements.push({ ...optional, num_children: column.columns.size })
      for (const [child, type] of column.columns) add(child, type, [...place, child], [...path, child])
    } else elements.push({ ...optional, ...leaves[column.kind] })
  }
}

const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const
const leaves = {
  number: { type: 'DOUBLE' },
  integer: { type: 'INT32' },
  boolean: { type: 'BOOLEAN' },
  time: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MILLIS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
  },
  text,
  json: text,
} as const

import type { ColumnSource } from 'hyparquet-writer'
import { parquetWriteBuffer } from 'hyparquet-writer'

type SchemaElement = NonNullable<Parameters<typeof parquetWriteBuffer>[0]['schema']>[number]

/** A Parquet file of these columns. */
export function parquetOf(columnData: ColumnSource[], rowGroupSize = 1000): Buffer {
  return Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize }))
}

/** The types of a column that may hold lists. */
type ColumnType = 'string' | 'double' | 'strings' | 'doubles' | 'integers'

const types: Record<ColumnType, Partial<SchemaElement>> = {
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  strings: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  double: { type: 'DOUBLE' },
  doubles: { type: 'DOUBLE' },
  integers: { type: 'INT64' },
}

/** A Parquet file of columns of values and of lists, as Arrow writes them. */
export function parquetOfLists(
  columns: readonly { name: string; type: ColumnType; data: unknown[] }[],
  rowGroupSize = 1000,
): Buffer {
  const schema = columns.flatMap(({ name, type }): SchemaElement[] => {
    const value = { repetition_type: 'OPTIONAL', ...types[type] } as const
    if (!type.endsWith('s')) return [{ name, ...value }]
    return [
      { name, repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', ...value },
    ]
  })
  const columnData = columns.map(({ name, data }) => ({ name, data })) as ColumnSource[]
  const root = { name: 'root', num_children: columns.length }
  return Buffer.from(parquetWriteBuffer({ columnData, schema: [root, ...schema], rowGroupSize }))
}

import { open } from 'node:fs/promises'
import type { ColumnSource } from 'hyparquet-writer'
import { fileWriter, ParquetWriter } from 'hyparquet-writer'
import { type AdColumn, type AdValue, adColumns, keyName, keyOf, listSeparator } from './ads.ts'

/** Rows that are in memory at a time; those of a row group in Parquet. */
const blockRows = 100_000

/** Writes ads as CSV; an empty list is an empty cell. */
export async function writeCsv(path: string, ads: number): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.write(`${[keyName, ...adColumns.map(({ name }) => name)].join(',')}\n`)
    for (let first = 0; first < ads; first += blockRows) {
      let text = ''
      for (let ad = first; ad < Math.min(ads, first + blockRows); ad++) {
        text += keyOf(ad)
        for (const column of adColumns) text += `,${cellOf(column, ad)}`
        text += '\n'
      }
      await file.write(text)
    }
  } finally {
    await file.close()
  }
}

function cellOf(column: AdColumn, ad: number): string | number {
  return column.kind === 'list' ? column.at(ad).join(listSeparator) : (column.at(ad) ?? '')
}

/** Writes ads as Parquet: Snappy, dictionaries where values repeat, as most programs write it. */
export function writeParquet(path: string, ads: number): void {
  const schema: ConstructorParameters<typeof ParquetWriter>[0]['schema'] = [
    { name: 'root', num_children: 1 + adColumns.length },
    { name: keyName, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    ...adColumns.flatMap(({ name, kind }): typeof schema => {
      if (kind === 'number') return [{ name, type: 'DOUBLE', repetition_type: 'OPTIONAL' }]
      const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const
      if (kind === 'string') return [{ name, ...text }]
      return [
        { name, converted_type: 'LIST', num_children: 1, repetition_type: 'OPTIONAL' },
        { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
        { name: 'element', ...text },
      ]
    }),
  ]
  const writer = new ParquetWriter({ writer: fileWriter(path), schema })
  for (let first = 0; first < ads; first += blockRows) {
    const numbers = Array.from({ length: Math.min(ads - first, blockRows) }, (_, i) => first + i)
    const columnData: ColumnSource[] = [
      { name: keyName, data: numbers.map(keyOf) },
      ...adColumns.map(({ name, at }) => ({ name, data: numbers.map<AdValue>(at) })),
    ]
    writer.write({ columnData, rowGroupSize: blockRows })
  }
  writer.finish()
}

import { dataOf, openSource } from '../data/dataset.ts'
import type { Cell, RowCell, Source } from '../data/source.ts'
import { openJsonLines } from './json-lines.ts'

export interface OpenSource {
  source: Source
  /** Whether columns of strings may be those of numbers. */
  detects: boolean
}

/**
 * Opens the file of a table. Rejects with a SpecError for one that can't be read. `complete`: each line of JSON must
 * have the same properties.
 */
export async function openTableSource({
  file,
  lists,
  complete = false,
}: {
  file: string
  lists: ReadonlyMap<string, string>
  complete?: boolean
}): Promise<OpenSource> {
  if (/\.(jsonl|ndjson)$/i.test(file)) return { source: await openJsonLines(file, complete), detects: false }
  const data = dataOf(file, 'a .csv, .csv.gz, .parquet or .jsonl file')
  const source = await openSource(data, file)
  return { source: lists.size === 0 ? source : withLists(source, lists), detects: 'csv' in data }
}

/** The same rows, with cells of these columns divided into lists. */
function withLists(source: Source, lists: ReadonlyMap<string, string>): Source {
  const separators = source.columns.map(({ name, type }) => (type === 'list' ? undefined : lists.get(name)))
  const divide = (cell: RowCell, separator: string | undefined): RowCell =>
    separator === undefined || cell === null ? cell : String(cell as Cell).split(separator)
  const { groups: _, ...byRows } = source
  return {
    ...byRows,
    columns: source.columns.map((column, i) => (separators[i] === undefined ? column : { ...column, type: 'list' })),
    async *rows(wanted) {
      for await (const row of source.rows(wanted)) yield row.map((cell, i) => divide(cell, separators[i]))
    },
  }
}

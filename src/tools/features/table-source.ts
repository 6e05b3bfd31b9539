import { dataOf, openSource } from '../data/dataset.ts'
import type { Source } from '../data/source.ts'
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

/** The same rows, with these columns as lists: each text of one is divided. */
function withLists(source: Source, lists: ReadonlyMap<string, string>): Source {
  return {
    ...source,
    columns: source.columns.map((column) => (lists.has(column.name) ? { ...column, type: 'list' } : column)),
  }
}

import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dataOf, openSource } from '../data/open-source.ts'
import type { Source } from '../data/source.ts'
import { openJsonLines } from './json-lines.ts'
import { readAhead } from './read-ahead.ts'

export interface OpenSource {
  source: Source
  /** Whether columns of strings may be those of numbers. */
  detects: boolean
}

/** Bytes of a file from which on a second thread saves more than its start takes. */
const largeFile = 8 * 2 ** 20

/**
 * Opens the file of a table. Rejects with a SpecError for one that can't be read. `complete`: each line of JSON must
 * have the same properties. `here`: the calling thread reads it; by default, another one reads groups of large files.
 */
export async function openTableSource({
  file,
  lists,
  complete = false,
  here,
}: {
  file: string
  lists: ReadonlyMap<string, string>
  complete?: boolean
  here?: boolean | undefined
}): Promise<OpenSource> {
  if (/\.(jsonl|ndjson)$/i.test(file)) return { source: await openJsonLines(file, complete), detects: false }
  const data = dataOf(file, 'a .csv, .csv.gz, .parquet or .jsonl file')
  const source = withLists(await openSource(data, file), lists)
  const isHere = here ?? (statSync(file).size < largeFile || availableParallelism() === 1)
  return { source: isHere || !source.groups ? source : readAhead(source, { file, lists }), detects: 'csv' in data }
}

/** The same rows, with these columns as lists: each text of one is divided. */
function withLists(source: Source, lists: ReadonlyMap<string, string>): Source {
  if (lists.size === 0) return source
  return {
    ...source,
    columns: source.columns.map((column) => (lists.has(column.name) ? { ...column, type: 'list' } : column)),
  }
}

import type { RowData } from '../../schemas/rows-spec.ts'
import { openSource } from '../data/dataset.ts'
import type { Cell, RowCell } from '../data/source.ts'
import { type Source, SpecError } from '../data/source.ts'
import { openJsonLines } from './json-lines.ts'

/** Opens the file of a table. Rejects with a SpecError for one that can't be read. */
export async function openTableSource({
  file,
  lists,
}: {
  file: string
  lists: ReadonlyMap<string, string>
}): Promise<Source> {
  if (/\.(jsonl|ndjson)$/i.test(file)) return await openJsonLines(file)
  const source = await openSource(dataOf(file), file)
  return lists.size === 0 ? source : withLists(source, lists)
}

function dataOf(file: string): RowData {
  if (/\.parquet$/i.test(file)) return { parquet: [file], missing: [''] }
  if (/\.csv(\.gz)?$/i.test(file)) return { csv: [file], separator: ',', trim: false, missing: [''] }
  throw new SpecError(file, [{ path: '', message: 'must be a .csv, .csv.gz, .parquet or .jsonl file' }])
}

/** The same rows, with cells of these columns divided into lists. */
function withLists(source: Source, lists: ReadonlyMap<string, string>): Source {
  const separators = source.columns.map(({ name, type }) => (type === 'list' ? undefined : lists.get(name)))
  const divide = (cell: RowCell, separator: string | undefined): RowCell =>
    separator === undefined || cell === null ? cell : String(cell as Cell).split(separator)
  return {
    ...source,
    columns: source.columns.map((column, i) => (separators[i] === undefined ? column : { ...column, type: 'list' })),
    async *rows(wanted) {
      for await (const row of source.rows(wanted)) yield row.map((cell, i) => divide(cell, separators[i]))
    },
  }
}

import { basename } from 'node:path'
import type { RowData } from '../schemas/rows-spec.ts'

/** What the rows are, for people: `clicks.csv.gz`, `generator ads-funnel, 500000 rows, seed 20`. */
export function describeData(data: RowData): string {
  if ('generator' in data)
    return `generator ${data.generator}, ${data.rows} rows, seed ${data.seed}${data.skip > 0 ? `, after ${data.skip}` : ''}`
  const files = 'csv' in data ? data.csv : data.parquet
  return files.map((path) => basename(path)).join(', ')
}

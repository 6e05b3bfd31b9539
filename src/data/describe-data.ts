import { basename } from 'node:path'
import type { RowData } from '../schemas/rows-spec.ts'

/** What the rows are, for people: `clicks.csv.gz`, `train.csv; test: last 0.2 of test.csv`, `generator ads-funnel, 500000 rows, seed 20`. */
export function describeData(data: RowData): string {
  if ('generator' in data)
    return `generator ${data.generator}, ${data.rows} rows, seed ${data.seed}${data.skip > 0 ? `, after ${data.skip}` : ''}`
  const names = (files: readonly string[]) => files.map((path) => basename(path)).join(', ')
  const own = (['validation', 'test'] as const).flatMap((part) => {
    const { files, last } = data[part] ?? {}
    return files ? [`${part}: ${last === undefined ? '' : `last ${last} of `}${names(files)}`] : []
  })
  return [names('csv' in data ? data.csv : data.parquet), ...own].join('; ')
}

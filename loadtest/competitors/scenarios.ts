import type { ReferenceModel } from './models.ts'

/** What a request holds: a model's rows. */
export interface Scenario {
  name: 'S1' | 'S2' | 'S3' | 'S4'
  title: string
  model: ReferenceModel['name']
  /** Rows of the requests, in turn. */
  rows: readonly number[]
  /**
   * Different requests: a candidate comes again after all others have come, and a server that keeps candidates has
   * forgotten it by then. At 100 rows these are 409,600 candidates; multigate keeps some 32,000 of this model by default.
   */
  distinct: number
}

/** MLPerf's users of DLRM-v2 (100 to 700 rows), a tenth of their rows; 27 on average. */
const mix = [...repeat(10, 2), ...repeat(20, 12), ...repeat(30, 2), 40, 50, 60, 70]

export const scenarios: readonly Scenario[] = [
  { name: 'S1', title: 'small model, 1 row', model: 'small', rows: [1], distinct: 65_536 },
  { name: 'S2', title: 'prod model, 1 row', model: 'prod', rows: [1], distinct: 196_608 },
  { name: 'S3', title: 'prod model, 1 user × 100 candidates', model: 'prod', rows: [100], distinct: 4096 },
  { name: 'S4', title: 'prod model, 1 user × 10–70 candidates', model: 'prod', rows: scattered(mix), distinct: 12_288 },
]

export function meanRows({ rows }: Scenario): number {
  return rows.reduce((sum, count) => sum + count, 0) / rows.length
}

function repeat(value: number, times: number): number[] {
  return new Array<number>(times).fill(value)
}

/** Large and small ones by turns: 7 has no factor in common with 20. */
function scattered(values: readonly number[]): number[] {
  return values.map((_, i) => values[(i * 7) % values.length]!)
}

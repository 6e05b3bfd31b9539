import type { referenceModels } from './models.ts'

/** The model and rows of requests. */
export interface Scenario {
  name: 'S1' | 'S2' | 'S3' | 'S4' | 'S5'
  title: string
  model: keyof typeof referenceModels
  /** Rows of the requests, in turn. */
  rows: readonly number[]
  /**
   * Number of different requests. A candidate recurs after all others, when a cache of candidates has dropped it: 100
   * rows make 409,600 candidates, and multigate caches about 32,000 of this model by default.
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
  { name: 'S5', title: 'history of 50, 1 user × 200 candidates', model: 'din', rows: [200], distinct: 2048 },
]

export function meanRows({ rows }: Scenario): number {
  return rows.reduce((sum, count) => sum + count, 0) / rows.length
}

function repeat(value: number, times: number): number[] {
  return new Array<number>(times).fill(value)
}

/** Alternates large and small ones: 7 and 20 are coprime. */
function scattered(values: readonly number[]): number[] {
  return values.map((_, i) => values[(i * 7) % values.length]!)
}

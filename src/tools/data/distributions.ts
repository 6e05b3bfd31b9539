import { basename } from 'node:path'
import type { Field } from '../../schemas/features.ts'
import type { Distribution, DriftReference } from '../../schemas/manifest.ts'
import type { RowData } from '../../schemas/rows-spec.ts'
import type { EncodedRows } from './encode-rows.ts'

/** Number of equal-mass bins for numbers: deciles. */
const numberBins = 10

/** Number of ids, the most frequent ones, with their own bin. */
const idBins = 15

/** Distributions of fields and predictions on the test rows: the reference for drift of live traffic. */
export function measureDistributions(
  fields: readonly Field[],
  { rows, sparse, dense, sparseFields, denseFields }: EncodedRows,
  predictions: Readonly<Record<string, ArrayLike<number>>>,
): DriftReference {
  const reference: DriftReference = { features: {}, tasks: {} }
  let sparseColumn = 0
  let denseColumn = 0
  for (const field of fields) {
    const numeric = field.kind === 'numeric'
    const column = numeric ? denseColumn++ : sparseColumn++
    const [data, width] = numeric ? [dense, denseFields] : [sparse, sparseFields]
    const values = Float64Array.from({ length: rows }, (_, row) => data[row * width + column]!)
    reference.features[field.name] = numeric ? ofNumbers(values) : ofIds(values)
  }
  for (const [task, probabilities] of Object.entries(predictions))
    reference.tasks[task] = ofNumbers(Float64Array.from(probabilities))
  return reference
}

/** Bins between quantiles; fewer if quantiles coincide because a value is frequent. */
export function ofNumbers(values: Float64Array): Distribution {
  const sorted = values.slice().sort()
  const quantiles = Array.from(
    { length: numberBins - 1 },
    (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / numberBins)] ?? 0,
  )
  const edges = [...new Set(quantiles)]
  const counts = new Float64Array(edges.length + 1)
  let bin = 0
  for (const value of sorted) {
    while (bin < edges.length && value > edges[bin]!) bin++
    counts[bin]!++
  }
  return { edges, shares: sharesOf(counts, sorted.length) }
}

/** The most frequent ids, and all others together. */
export function ofIds(values: Float64Array): Distribution {
  const counts = new Map<number, number>()
  for (const id of values) counts.set(id, (counts.get(id) ?? 0) + 1)
  const frequent = [...counts].sort(([a, x], [b, y]) => y - x || a - b).slice(0, idBins)
  const others = values.length - frequent.reduce((sum, [, count]) => sum + count, 0)
  return {
    ids: frequent.map(([id]) => id),
    shares: sharesOf(Float64Array.of(...frequent.map(([, count]) => count), others), values.length),
  }
}

/** Rounded to six decimals, which is enough for a drift index. */
function sharesOf(counts: Float64Array, total: number): number[] {
  return Array.from(counts, (count) => Number((count / total).toFixed(6)))
}

/**
 * Describes the rows for people: `clicks.csv.gz`, `train.csv; test: last 0.2 of test.csv`, `generator ads-funnel,
 * 500000 rows, seed 20`.
 */
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

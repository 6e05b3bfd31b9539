import { basename } from 'node:path'
import { fieldValuesOf } from '../../model/serving/drift/field-values.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import type { Distribution, DriftReference } from '../../schemas/manifest.ts'
import type { RowData } from '../../schemas/rows-spec.ts'
import { NumberColumn } from './columns.ts'
import type { EncodedRows } from './packed-rows.ts'

/** Number of equal-mass bins for numbers: deciles. */
const numberBins = 10

/** Number of ids, the most frequent ones, with their own bin. */
const idBins = 15

/**
 * Distributions of fields and predictions on the test rows: the reference for drift of live traffic. `strips`: the
 * encoded rows, some at a time.
 */
export function measureDistributions(
  layout: Layout,
  strips: Iterable<EncodedRows>,
  predictions: Readonly<Record<string, ArrayLike<number>>>,
): DriftReference {
  return { ...measureFields(layout, strips), tasks: measureTasks(predictions) }
}

/** Distributions of predictions, per task. */
export function measureTasks(predictions: Readonly<Record<string, ArrayLike<number>>>): DriftReference['tasks'] {
  const tasks = Object.entries(predictions).map(([task, values]) => [task, ofNumbers(Float64Array.from(values))])
  return Object.fromEntries(tasks)
}

/** Distributions of fields, and of the lengths of lists. `strips`: the encoded rows, some at a time. */
export function measureFields(layout: Layout, strips: Iterable<EncodedRows>): Omit<DriftReference, 'tasks'> {
  const fields = fieldValuesOf(layout).map((field) => ({
    field,
    ids: new Map<number, number>(),
    numbers: new NumberColumn(),
    lengths: field.isList ? new NumberColumn() : undefined,
  }))
  for (const strip of strips)
    for (const { field, ids, numbers, lengths } of fields) {
      const take = field.slot.sparse
        ? (id: number) => ids.set(id, (ids.get(id) ?? 0) + 1)
        : (value: number) => numbers.push(value)
      for (let row = 0; row < strip.rows; row++) {
        const length = field.each(strip, row, take)
        lengths?.push(length)
      }
    }
  const features: DriftReference['features'] = {}
  const lengths: NonNullable<DriftReference['lengths']> = {}
  for (const { field, ids, numbers, lengths: own } of fields) {
    // A list may be empty in all rows.
    if (ids.size + numbers.length > 0)
      features[field.name] = field.slot.sparse ? ofCounts(ids) : ofNumbers(numbers.flat())
    if (own) lengths[field.name] = ofNumbers(own.flat())
  }
  return { features, ...(Object.keys(lengths).length > 0 && { lengths }) }
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

/** The most frequent ids, and all others together. `counts`: how often there is each id. */
export function ofCounts(counts: ReadonlyMap<number, number>): Distribution {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const frequent = [...counts].sort(([a, x], [b, y]) => y - x || a - b).slice(0, idBins)
  const others = frequent.reduce((rest, [, count]) => rest - count, total)
  return {
    ids: frequent.map(([id]) => id),
    shares: sharesOf(Float64Array.of(...frequent.map(([, count]) => count), others), total),
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
  if ('log' in data) {
    const of = [data.model ?? [], (data.versions ?? []).map((version) => `version ${version}`)].flat()
    return [`prediction log ${[data.log].flat().join(', ')}`, ...of].join(', ')
  }
  const names = (files: readonly string[]) => files.map((path) => basename(path)).join(', ')
  const own = (['validation', 'test'] as const).flatMap((part) => {
    const { files, last } = data[part] ?? {}
    return files ? [`${part}: ${last === undefined ? '' : `last ${last} of `}${names(files)}`] : []
  })
  return [names('csv' in data ? data.csv : data.parquet), ...own].join('; ')
}

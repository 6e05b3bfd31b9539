import type { TrainField } from '../../schemas/train-fields.ts'
import { numbersOf } from '../data/packed-rows.ts'
import { createRandom } from '../data/random.ts'
import { SpecError } from '../data/source.ts'
import type { Examples } from './terms.ts'

/** Most rows whose values place the edges. */
const mostRows = 200_000

/** Columns of numbers that a field takes, the weights of its values included. */
function denseColumns(field: TrainField): number {
  if (field.kind === 'vector') return field.length
  const { max = 1, weighted = false } = field.list ?? {}
  return max * (Number(field.kind === 'numeric') + Number(weighted))
}

/**
 * Per column of numbers of a field with `bins`, the edges between them: quantiles of its scaled values in the training
 * rows. A value that fills a bin alone, such as 0 in amounts, is an edge, and leaves the other quantiles to the other
 * rows. Undefined for the other columns. Throws a SpecError where a field has one value alone.
 */
export function binEdges(
  file: string,
  fields: readonly TrainField[],
  { encoded }: Pick<Examples, 'encoded'>,
): (number[] | undefined)[] {
  const columns = fields.flatMap((field, index) => {
    const bins = field.kind === 'numeric' ? field.bins : undefined
    return Array.from({ length: denseColumns(field) }, () => ({ bins, index }))
  })
  const taken = Math.min(encoded.rows, mostRows)
  return columns.map(({ bins, index }, column) => {
    if (bins === undefined) return undefined
    const random = createRandom(column)
    // One of each stretch, drawn: rows may repeat in their order.
    const rowOf = (i: number) => {
      const [start, end] = [i, i + 1].map((cut) => Math.floor((cut * encoded.rows) / taken)) as [number, number]
      return start + random.integer(end - start)
    }
    const numberOf = numbersOf(encoded, column)
    const values = Float32Array.from({ length: taken }, (_, i) => numberOf(rowOf(i))).sort()
    const edges = edgesOf(values, bins)
    if (edges.length > 1) return edges
    const message = `${fields[index]!.name} has the same value in all training rows: leave bins out`
    throw new SpecError(file, [{ path: `/fields/${index}/bins`, message }])
  })
}

/** At most `bins` + 1 different values, ascending, with the least and the greatest of `values`, which ascend. */
function edgesOf(values: Float32Array, bins: number): number[] {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  const isFrequent = (value: number) => counts.get(value)! >= values.length / bins
  const frequent = [...counts.keys()].filter(isFrequent)
  const others = values.filter((value) => !isFrequent(value))
  const left = Math.max(1, bins - frequent.length)
  const quantiles = Array.from({ length: left + 1 }, (_, k) => others[Math.round((k * (others.length - 1)) / left)])
  const edges = new Set([values[0]!, ...frequent, ...quantiles.filter((value) => value !== undefined), values.at(-1)!])
  const ascending = [...edges].sort((a, b) => a - b)
  // Float32 has no inverse of the width of a bin that is narrower.
  return ascending.filter((edge, i) => i === 0 || Number.isFinite(Math.fround(1 / (edge - ascending[i - 1]!))))
}

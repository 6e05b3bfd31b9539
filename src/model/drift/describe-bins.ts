import type { Field } from '../../schemas/features.ts'
import type { Distribution } from '../../schemas/manifest.ts'
import { nameOfId, unscale } from '../features/draw-value.ts'
import { type FieldEncoder, idsOf } from '../features/field.ts'
import { createBinOf } from './bins.ts'

/** A bin of a distribution, in the terms of requests and answers. */
export interface BinDescription {
  label: string
  /** A value that falls into the bin; undefined where none can be named: of hashed values, and of all that have no bin. */
  value?: string | number
  /** Bins of numbers lie above `low` and not above `high`; open ends have no bound. */
  low?: number
  high?: number
}

/** Bins of a field's distribution. `offset`: the id, in the tensor, of its first id. */
export function describeFieldBins(distribution: Distribution, encoder: FieldEncoder, offset: number): BinDescription[] {
  const { field } = encoder
  if ('ids' in distribution)
    return [...distribution.ids.map((id) => describeId(field, id - offset)), { label: 'all other values' }]
  const toValue = (scaled: number) => (field.kind === 'numeric' ? unscale(field, scaled) : scaled)
  const valueInside = createValueInside(distribution, encoder, toValue)
  return rangesOf(distribution.edges.map((edge) => rounded(toValue(edge)))).map((range, bin) => {
    const value = valueInside(bin)
    return { label: labelOf(range), ...(value === undefined ? {} : { value }), ...range }
  })
}

/** Bins of a task's distribution, which is one of probabilities. */
export function describeTaskBins(distribution: Distribution): BinDescription[] {
  if ('ids' in distribution)
    return [...distribution.ids, undefined].map((id) => ({ label: `bin ${id ?? 'of the rest'}` }))
  return rangesOf(distribution.edges.map(rounded)).map(({ low = 0, high = 1 }) => {
    const range = { low, high }
    return { label: labelOf(range), ...range }
  })
}

/** Edges are float32, of which six digits are exact. */
const rounded = (value: number) => Number(value.toPrecision(6))

type Range = Pick<BinDescription, 'low' | 'high'>

function rangesOf(ends: readonly number[]): Range[] {
  return Array.from({ length: ends.length + 1 }, (_, bin) => ({
    ...(bin === 0 ? {} : { low: ends[bin - 1]! }),
    ...(bin === ends.length ? {} : { high: ends[bin]! }),
  }))
}

function labelOf({ low, high }: Range): string {
  if (low === undefined) return `up to ${high}`
  return high === undefined ? `above ${low}` : `${low} to ${high}`
}

function describeId(field: Field, id: number): BinDescription {
  if (field.kind === 'hash') return { label: `bucket ${id}` }
  if (field.kind === 'numeric' || id < 0 || id >= idsOf(field)) return { label: `id ${id}` }
  if (id === 0 && field.out_of_vocabulary === 'bucket') return { label: 'unknown values' }
  const value = nameOfId(field, id)
  return { label: String(value), value }
}

/**
 * Finds a number that the encoder puts into a bin: in the middle of its scaled ends; where one is open, at the other end or half
 * a usual width beyond it. Undefined where there is none.
 */
function createValueInside(
  distribution: Extract<Distribution, { edges: number[] }>,
  { encode }: Pick<FieldEncoder, 'encode'>,
  toValue: (scaled: number) => number,
): (bin: number) => number | undefined {
  const { edges } = distribution
  const binOf = createBinOf(distribution)
  const [first] = edges as [number]
  const last = edges.at(-1)!
  const width = edges.length === 1 ? Math.max(1e-3, Math.abs(first) / 5) : (last - first) / (edges.length - 1)
  return (bin) => {
    const isIn = (value: number) => {
      const encoded = encode(value)
      return typeof encoded === 'number' && binOf(encoded) === bin
    }
    const places =
      bin === 0
        ? [first, first - width / 2]
        : [bin === edges.length ? last + width / 2 : (edges[bin - 1]! + edges[bin]!) / 2]
    return places
      .map(toValue)
      .flatMap((exact) => [rounded(exact), exact])
      .find(isIn)
  }
}

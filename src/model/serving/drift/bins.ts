import type { Distribution } from '../../../schemas/manifest.ts'
import { nameOfId, unscale } from '../features/decode.ts'
import type { FieldEncoder } from '../features/field.ts'
import { type InputField, idsOf, tableOf } from '../features/table.ts'

/** Live counts over a distribution's bins, with decay. */
export interface Bins {
  add(value: number): void
  /** Population stability index against the reference; undefined while there are too few values. */
  psi(): number | undefined
  /** Copies what it has counted. */
  counted(): Counted
}

/** Recent values: all counts are halved from time to time, so that old values fade. */
export interface Counted {
  total: number
  /** By bin; they add up to `total`. */
  counts: number[]
}

/** Values after which all counts are halved. */
const halving = 20_000

/** With fewer values chance alone would look like drift: without drift the index is about bins ÷ values. */
const leastValues = 500

/** `distribution.shares` are those of the reference. */
export function createBins(distribution: Distribution): Bins {
  const { shares } = distribution
  const binOf = createBinOf(distribution)
  const counts = new Float64Array(shares.length)
  let total = 0
  return {
    add(value) {
      const bin = binOf(value)
      counts[bin] = counts[bin]! + 1
      total++
      if (total < halving) return
      total /= 2
      for (let i = 0; i < counts.length; i++) counts[i]! /= 2
    },
    psi: () => psiOf(shares, { total, counts }),
    counted: () => ({ total, counts: Array.from(counts) }),
  }
}

/** Population stability index of counts; undefined while there are too few. */
export function psiOf(
  shares: readonly number[],
  { total, counts }: { total: number; counts: ArrayLike<number> },
): number | undefined {
  return total < leastValues ? undefined : populationStability(shares, counts)
}

/** The sum of two counts over the same bins. */
export function addCounted(a: Counted, b: Counted): Counted {
  return { total: a.total + b.total, counts: a.counts.map((count, bin) => count + (b.counts[bin] ?? 0)) }
}

/** Finds the bin of an encoded value. */
export function createBinOf(distribution: Distribution): (value: number) => number {
  return 'ids' in distribution ? binOfId(distribution.ids) : binOfNumber(distribution.edges)
}

/**
 * Σ (live − reference) · ln(live ÷ reference) over bins. Shares are smoothed by half a value per bin, so that empty
 * bins keep the index finite. By convention 0.1 is a moderate change, 0.25 a major one.
 */
export function populationStability(reference: readonly number[], counts: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0)
  const smoothed = (share: number) => (share * total + 0.5) / (total + reference.length / 2)
  return reference.reduce((sum, share, bin) => {
    const expected = smoothed(share)
    const live = smoothed(counts[bin]! / total)
    return sum + (live - expected) * Math.log(live / expected)
  }, 0)
}

function binOfId(ids: readonly number[]): (id: number) => number {
  const bins = new Map(ids.map((id, bin) => [id, bin]))
  return (id) => bins.get(id) ?? ids.length
}

/** The first bin whose upper edge is not below the value. */
function binOfNumber(edges: readonly number[]): (value: number) => number {
  return (value) => {
    let low = 0
    let high = edges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (value <= edges[middle]!) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** A bin of a distribution, in the terms of requests and answers. */
export interface BinDescription {
  label: string
  /**
   * A value that falls into the bin; undefined where none can be named: of hashed values, and of all that have no bin.
   */
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

/** Bins of how many values a list has. */
export function describeLengthBins(distribution: Distribution): BinDescription[] {
  if ('ids' in distribution) return []
  return rangesOf(distribution.edges).map(({ low = -1, high }, bin) => {
    const least = low + 1
    const label = high === undefined ? `${least} or more` : least === high ? `${high}` : `${least} to ${high}`
    return { label, ...(bin > 0 && { low }), ...(high !== undefined && { high }) }
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

function describeId(field: InputField, id: number): BinDescription {
  if (field.kind === 'hash') return { label: `bucket ${id - tableOf(field).first}` }
  if (field.kind === 'numeric' || field.kind === 'vector' || id < 0 || id >= idsOf(field)) return { label: `id ${id}` }
  if (id === tableOf(field).bucket) return { label: 'unknown values' }
  const value = nameOfId(field, id)
  return { label: String(value), value }
}

/**
 * Finds a number that the encoder puts into a bin: in the middle of its scaled ends; where one is open, at the other
 * end or half a usual width beyond it. Undefined where there is none.
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

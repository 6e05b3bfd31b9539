import type { Groups, Values } from './ranking.ts'
import type { ScoredRows } from './scored-rows.ts'

/** Divides rows into parts by their number, in the order given; rows of a negative number are in none. */
export function divide(rows: Uint32Array, parts: number, partOf: (row: number) => number): Uint32Array[] {
  const sizes = new Uint32Array(parts)
  for (const row of rows) {
    const part = partOf(row)
    if (part >= 0) sizes[part]!++
  }
  const divided = Array.from(sizes, (size) => new Uint32Array(size))
  const next = new Uint32Array(parts)
  for (const row of rows) {
    const part = partOf(row)
    if (part >= 0) divided[part]![next[part]!++] = row
  }
  return divided
}

/** 0, 1, 2, … */
export function count(length: number): Uint32Array {
  const numbers = new Uint32Array(length)
  for (let i = 0; i < length; i++) numbers[i] = i
  return numbers
}

/**
 * Copies some of the rows, in an order: judging few of many rows then costs no more than those. Groups keep their
 * order, and with it what is summed over them.
 */
export function createPick(rows: ScoredRows): (order: Uint32Array) => ScoredRows {
  const { labels, predictions, weights, kept, buckets, groups } = rows
  const renumber = groups && createRenumber(groups)
  return (order) => {
    const size = order.length
    const pick = (values: Values) => Float64Array.from(order, (row) => values[row]!)
    const picked = {
      labels: new Uint8Array(size),
      predictions: new Float64Array(size),
      weights: weights && new Float64Array(size),
      kept: kept && { ...kept, own: kept.own && pick(kept.own), factors: kept.factors?.map(pick) },
      buckets: new Uint32Array(size),
      groups: renumber?.(order),
    }
    for (let i = 0; i < size; i++) {
      const row = order[i]!
      picked.labels[i] = labels[row]!
      picked.predictions[i] = predictions[row]!
      picked.buckets[i] = buckets[row]!
      if (picked.weights) picked.weights[i] = weights![row]!
    }
    return picked
  }
}

/** Numbers the groups of some rows without gaps, in the order of their numbers. */
function createRenumber({ of, count }: Groups): (order: Uint32Array) => Groups {
  const numbers = new Uint32Array(count)
  return (order) => {
    const own = new Uint32Array(order.length)
    for (let i = 0; i < order.length; i++) own[i] = of[order[i]!]!
    const sorted = own.slice().sort()
    let found = 0
    for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) numbers[sorted[i]!] = found++
    for (let i = 0; i < own.length; i++) own[i] = numbers[own[i]!]!
    return { of: own, count: found }
  }
}

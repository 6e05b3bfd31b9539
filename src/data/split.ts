import { murmur3 } from '../model/base/murmur3.ts'
import type { Split } from '../schemas/rows-spec.ts'
import type { StringColumn } from './columns.ts'
import { createRandom } from './random.ts'

/** Increasing row indexes of each part; together, all rows once. */
export interface Parts {
  train: Int32Array
  validation: Int32Array
  test: Int32Array
}

/** Per row, what some splits go by. */
export interface SplitColumns {
  times?: Float64Array | undefined
  groups?: StringColumn | undefined
}

/**
 * Divides `rows` rows according to the spec; the same spec and data give the same parts.
 */
export function splitRows(split: Split, rows: number, { times, groups }: SplitColumns = {}): Parts {
  const position = positions(split, rows, times, groups)
  const parts = { train: [] as number[], validation: [] as number[], test: [] as number[] }
  for (let row = 0; row < rows; row++) {
    const at = position(row)
    const part = at < split.train ? 'train' : at < split.train + split.validation ? 'validation' : 'test'
    parts[part].push(row)
  }
  return {
    train: Int32Array.from(parts.train),
    validation: Int32Array.from(parts.validation),
    test: Int32Array.from(parts.test),
  }
}

/** A position in [0, 1) for each row; must be called in row order. */
function positions(
  split: Split,
  rows: number,
  times: Float64Array | undefined,
  groups: StringColumn | undefined,
): (row: number) => number {
  if (split.by === 'random') {
    const random = createRandom(split.seed)
    return () => random.uniform()
  }
  if (split.by === 'group' && groups) {
    // By the group's name, so that it stays in its part when other rows come and go.
    const drawn = groups.values.map((name) => murmur3(name, split.seed) / 2 ** 32)
    const missing = murmur3('', split.seed) / 2 ** 32
    return (row) => drawn[groups.codeAt(row)] ?? missing
  }
  if (split.by === 'order' || !times) return (row) => row / rows
  const sorted = Float64Array.from(times).sort()
  return (row) => firstIndex(sorted, times[row]!) / rows
}

/** Index of the first element ≥ `value`. */
function firstIndex(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

import { murmur3 } from '../../base/hash.ts'
import type { Split } from '../../schemas/rows-spec.ts'
import type { StringColumn } from './columns.ts'
import { createRandom } from './random.ts'

/** Per part, its share of the rows that are divided; 0 for a part with files of its own. */
export interface Shares {
  train: number
  validation: number
  test: number
}

/** Increasing row indexes of each part. */
export type Parts = Record<keyof Shares, Int32Array>

/** Per row, what some splits go by. */
export interface SplitColumns {
  times?: Float64Array | undefined
  groups?: StringColumn | undefined
}

/** Divides `rows` rows according to the spec: each is in one part. The same spec and data give the same parts. */
export function splitRows(split: Split, shares: Shares, rows: number, { times, groups }: SplitColumns = {}): Parts {
  const position = positions(split, rows, times, groups)
  const until = shares.train + shares.validation
  // Without a test part, the sum may be a little below 1.
  const validation = shares.test === 0 ? 1 : until
  const parts = new Uint8Array(rows)
  const counts = [0, 0, 0]
  for (let row = 0; row < rows; row++) {
    const at = position(row)
    const part = at < shares.train ? 0 : shares.validation > 0 && at < validation ? 1 : 2
    parts[row] = part
    counts[part]!++
  }
  const [train, validated, test] = counts.map((count, part) => {
    const indexes = new Int32Array(count)
    for (let row = 0, i = 0; i < count; row++) if (parts[row] === part) indexes[i++] = row
    return indexes
  })
  return { train: train!, validation: validated!, test: test! }
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

/** Index of the first element ≥ `value`; of ascending elements. */
export function firstIndex(sorted: ArrayLike<number>, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

import { createUniform } from '../../base/hash.ts'

/** Sets of rows that are resampled together, at most: more would give the same intervals at a higher cost. */
export const mostBuckets = 4096

/**
 * Weights of a Poisson bootstrap (Hanley and MacGibbon 2006; Chamandy et al. 2012): in each replicate a bucket of rows
 * counts Poisson(1) times. Rows of one bucket are resampled together, so buckets are groups or sums of several groups.
 */
export interface Resampling {
  buckets: number
  replicates: number
  /** Uint8 [replicates, buckets]. */
  counts: Uint8Array
  /** Called now and then with the replicates that `resample` has done. */
  onReplicates?: ((done: number) => void) | undefined
}

/** Replicates between two calls of `onReplicates`. */
const reportedEach = 100

/** The same seed gives the same weights. */
export function createResampling(buckets: number, replicates: number, seed: number): Resampling {
  const uniform = createUniform(seed)
  const counts = new Uint8Array(replicates * buckets)
  for (let i = 0; i < counts.length; i++) counts[i] = poisson1(uniform())
  return { buckets, replicates, counts }
}

/** The quantile of Poisson(1) at `u`. */
function poisson1(u: number): number {
  let count = 0
  let probability = Math.exp(-1)
  let cumulative = probability
  while (u > cumulative && count < 20) {
    count++
    probability /= count
    cumulative += probability
  }
  return count
}

/**
 * Sums of `width` statistics in every replicate. `sums`: [buckets, width], each bucket's sums. Returns [replicates,
 * width]; NaN where fewer than two buckets have rows, because one says nothing of how much they differ.
 */
export function resample(resampling: Resampling, sums: Float64Array, width: number): Float64Array {
  const { buckets, replicates, counts, onReplicates } = resampling
  const filled = filledBuckets(buckets, sums, width)
  // Padded to a multiple of the statistics that one pass sums.
  const stride = Math.ceil(width / perPass) * perPass
  const packed = new Float64Array(filled.length * stride)
  for (let k = 0; k < filled.length; k++)
    for (let i = 0; i < width; i++) packed[k * stride + i] = sums[filled[k]! * width + i]!
  const result = new Float64Array(replicates * width)
  if (filled.length < 2) return result.fill(Number.NaN)
  const times = new Float64Array(filled.length)
  const summed = new Float64Array(stride)
  for (let replicate = 0; replicate < replicates; replicate++) {
    for (let k = 0; k < times.length; k++) times[k] = counts[replicate * buckets + filled[k]!]!
    for (let first = 0; first < width; first += perPass) sumProducts(times, packed, stride, first, summed)
    for (let i = 0; i < width; i++) result[replicate * width + i] = summed[i]!
    if (onReplicates !== undefined && (replicate + 1) % reportedEach === 0) onReplicates(replicate + 1)
  }
  return result
}

/** Statistics that one pass over the buckets sums: as many as fit into a processor's registers. */
const perPass = 7

/** Sums the products of `perPass` statistics from `first` with `times`, in the order of the buckets. */
function sumProducts(
  times: Float64Array,
  packed: Float64Array,
  stride: number,
  first: number,
  summed: Float64Array,
): void {
  let [a, b, c, d, e, f, g] = [0, 0, 0, 0, 0, 0, 0]
  for (let k = 0, at = first; k < times.length; k++, at += stride) {
    const count = times[k]!
    a += count * packed[at]!
    b += count * packed[at + 1]!
    c += count * packed[at + 2]!
    d += count * packed[at + 3]!
    e += count * packed[at + 4]!
    f += count * packed[at + 5]!
    g += count * packed[at + 6]!
  }
  summed.set([a, b, c, d, e, f, g], first)
}

/** Buckets with anything in them: slices fill few. */
function filledBuckets(buckets: number, sums: Float64Array, width: number): Uint32Array {
  const filled: number[] = []
  for (let bucket = 0; bucket < buckets; bucket++)
    for (let i = 0; i < width; i++)
      if (sums[bucket * width + i] !== 0) {
        filled.push(bucket)
        break
      }
  return Uint32Array.from(filled)
}

/**
 * The central 95 % of the values; null if half of them are undefined (NaN), or if it has no end: a ratio to the
 * positives is infinite in replicates without any, and those count.
 */
export function centralInterval(values: Float64Array): { low: number; high: number } | null {
  const known = values.filter((value) => !Number.isNaN(value)).sort()
  if (known.length < values.length / 2 || known.length === 0) return null
  const [low, high] = [quantile(known, 0.025), quantile(known, 0.975)]
  return Number.isFinite(low) && Number.isFinite(high) ? { low, high } : null
}

/** Linear interpolation between order statistics. */
export function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1)
  const low = Math.floor(at)
  const high = Math.min(sorted.length - 1, low + 1)
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!)
}

/** Fewer values are sorted faster by comparison. */
const fewest = 4096
/** Bits of the keys that one pass sorts by. */
const bits = 16
const mask = 2 ** bits - 1

/**
 * Indexes of the values, lowest value first, equal ones in their order: a radix sort of their bits. Where one of them
 * is no number, the order is any.
 */
export function sortIndexes(values: ArrayLike<number>): Uint32Array {
  const { length } = values
  let indexes = new Uint32Array(length)
  for (let i = 0; i < length; i++) indexes[i] = i
  if (length < fewest) return indexes.sort((a, b) => values[a]! - values[b]!)
  const keys = keysOf(values)
  let sorted = new Uint32Array(length)
  // Words of a key, lowest first; machines that run Node are little-endian.
  for (let word = 0; word < 2; word++)
    for (let shift = 0; shift < 32; shift += bits) {
      const next = new Uint32Array(2 ** bits + 1)
      for (let i = 0; i < length; i++) next[((keys[2 * i + word]! >>> shift) & mask) + 1]!++
      // All have the same bits here.
      if (next.includes(length)) continue
      for (let i = 1; i < next.length; i++) next[i]! += next[i - 1]!
      for (let i = 0; i < length; i++) {
        const index = indexes[i]!
        sorted[next[(keys[2 * index + word]! >>> shift) & mask]!++] = index
      }
      ;[indexes, sorted] = [sorted, indexes]
    }
  return indexes
}

/** Two words per value, which as whole numbers are ordered as the values are. */
function keysOf(values: ArrayLike<number>): Uint32Array {
  const numbers = Float64Array.from(values)
  const keys = new Uint32Array(numbers.buffer)
  for (let i = 0; i < numbers.length; i++) {
    // −0 becomes 0.
    numbers[i]! += 0
    const high = keys[2 * i + 1]!
    if (high >>> 31) {
      keys[2 * i] = ~keys[2 * i]!
      keys[2 * i + 1] = ~high
    } else keys[2 * i + 1] = high | 0x8000_0000
  }
  return keys
}

/** Numbers of rows: plain and typed arrays alike. */
export type Values = ArrayLike<number>

/** Row numbers, lowest prediction first, and of equal ones the first row first. O(n). */
export function rank(predictions: Values): Uint32Array {
  return sortIndexes(predictions)
}

/** An AUC, and the components that it is the mean of. */
export interface AucComponents {
  auc: number
  /**
   * Per row: of a positive one the share of the negative weight that scores lower, of a negative one the share of the
   * positive weight that scores higher, ties counting half.
   */
  components: Float64Array
  /** Weight of the positive and of the negative rows. */
  positive: number
  negative: number
}

/**
 * The area under the ROC curve (Mann-Whitney U) with its structural components (DeLong et al., Biometrics 1988;
 * computed from ranks, Sun and Xu 2014); undefined if one class is missing or has no weight. `labels`: 1 or 0; `order`:
 * rows by `rank`, perhaps some of them alone.
 */
export function aucComponents(
  labels: Values,
  predictions: Values,
  weights: Values | undefined,
  order: Uint32Array,
): AucComponents | undefined {
  let positive = 0
  let negative = 0
  for (const row of order) {
    // NaN has no place in an order.
    if (Number.isNaN(predictions[row])) return undefined
    const weight = weights ? weights[row]! : 1
    if (labels[row]) positive += weight
    else negative += weight
  }
  if (positive === 0 || negative === 0) return undefined
  const components = new Float64Array(labels.length)
  let lowerPositive = 0
  let lowerNegative = 0
  let area = 0
  for (let start = 0, end = 0; start < order.length; start = end) {
    const value = predictions[order[start]!]!
    let tiedPositive = 0
    let tiedNegative = 0
    for (; end < order.length && predictions[order[end]!] === value; end++) {
      const row = order[end]!
      const weight = weights ? weights[row]! : 1
      if (labels[row]) tiedPositive += weight
      else tiedNegative += weight
    }
    const ofPositive = (lowerNegative + tiedNegative / 2) / negative
    const ofNegative = (positive - lowerPositive - tiedPositive / 2) / positive
    for (let i = start; i < end; i++) components[order[i]!] = labels[order[i]!] ? ofPositive : ofNegative
    area += tiedPositive * ofPositive
    lowerPositive += tiedPositive
    lowerNegative += tiedNegative
  }
  return { auc: area / positive, components, positive, negative }
}

/** Rows that are alike: per row a number below `count`. */
export interface Groups {
  of: Uint32Array
  count: number
}

/** Variance of an AUC, or covariance structure of a difference of two, from components centred at their AUC. */
export interface VarianceInput {
  labels: Values
  weights: Values | undefined
  order: Uint32Array
  groups: Groups | undefined
  positive: number
  negative: number
}

/**
 * Variance of Σ w · c ÷ Σ w over positive rows, as DeLong's estimate; with groups, Obuchowski's for clustered data
 * (Biometrics 1997), which is the same where each group is one row. `centred(row)`: the row's component minus the AUC,
 * or the difference of two such. NaN where one class has a single row, or a single group with rows of it: one says
 * nothing of how much they differ.
 */
export function aucVariance(
  { labels, weights, order, groups, positive, negative }: VarianceInput,
  centred: (row: number) => number,
): number {
  const weightOf = (row: number) => (weights ? weights[row]! : 1)
  if (groups === undefined) {
    let [positives, negatives, ofPositives, ofNegatives] = [0, 0, 0, 0]
    for (const row of order) {
      if (weightOf(row) === 0) continue
      const square = (weightOf(row) * centred(row)) ** 2
      if (labels[row]) {
        positives++
        ofPositives += square
      } else {
        negatives++
        ofNegatives += square
      }
    }
    return (bessel(positives) * ofPositives) / positive ** 2 + (bessel(negatives) * ofNegatives) / negative ** 2
  }
  const sums = new Float64Array(2 * groups.count)
  const present = new Uint8Array(2 * groups.count)
  for (const row of order) {
    if (weightOf(row) === 0) continue
    const place = 2 * groups.of[row]! + (labels[row] ? 1 : 0)
    sums[place]! += weightOf(row) * centred(row)
    present[place] = 1
  }
  const counted = { positive: 0, negative: 0, any: 0 }
  let [ofPositives, ofNegatives, ofBoth] = [0, 0, 0]
  for (let group = 0; group < groups.count; group++) {
    const negativeSum = sums[2 * group]!
    const positiveSum = sums[2 * group + 1]!
    ofNegatives += negativeSum ** 2
    ofPositives += positiveSum ** 2
    ofBoth += positiveSum * negativeSum
    counted.negative += present[2 * group]!
    counted.positive += present[2 * group + 1]!
    counted.any += present[2 * group]! | present[2 * group + 1]!
  }
  return Math.max(
    0,
    (bessel(counted.positive) * ofPositives) / positive ** 2 +
      (bessel(counted.negative) * ofNegatives) / negative ** 2 +
      (2 * bessel(counted.any) * ofBoth) / (positive * negative),
  )
}

/** n / (n − 1): makes the estimate of a variance unbiased; NaN if there is none. */
function bessel(count: number): number {
  return count > 1 ? count / (count - 1) : Number.NaN
}

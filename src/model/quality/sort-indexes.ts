/** Fewer values are sorted faster by comparison. */
const fewest = 4096
/** Bits of the keys that one pass sorts by. */
const bits = 16
const mask = 2 ** bits - 1

/**
 * Indexes of the values, lowest value first, equal ones in their order: a radix sort of their bits. Where one of them is no number,
 * the order is any.
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

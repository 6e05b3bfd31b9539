import type { Library } from './library.ts'
import type { Product } from './primitives.ts'

/** By product, and by the rows of its weights. */
const known = new WeakMap<Product, Map<string, Int32Array | undefined>>()

/**
 * Where a product reads its weights [k, n] from row `first` on: of each pair of rows and each column, the 32-bit word
 * that holds both, [pairs, n]. Undefined where they don't share a word.
 */
export function placesOfPairs(
  library: Library,
  product: Product,
  k: number,
  n: number,
  first: number,
): Int32Array | undefined {
  const places = known.get(product) ?? new Map<string, Int32Array | undefined>()
  known.set(product, places)
  const key = `${k} ${n} ${first}`
  if (!places.has(key)) places.set(key, findPlaces(library, product, k, n, first))
  return places.get(key)
}

function findPlaces(library: Library, product: Product, k: number, n: number, first: number): Int32Array | undefined {
  const pairs = (k - first) / 2
  // Three matrices of numbers that bfloat16 holds exactly: the digits of a word's column, and its row.
  const digits = [
    (_: number, column: number) => column % 128,
    (_: number, column: number) => column >> 7,
    (row: number) => row,
  ]
  const read = digits.map((digit) => {
    const values = new Float32Array(k * n)
    for (let row = first; row < k; row++)
      for (let column = 0; column < n; column++) values[row * n + column] = 1 + digit(row - first, column)
    const { layouts } = library.pack(values, k, n, [product])
    return library.words(layouts.get(product.layout)!)
  })
  const [low, high, row] = read as [Int32Array, Int32Array, Int32Array]
  const places = new Int32Array(pairs * n).fill(-1)
  for (let i = 0; i < row.length; i++) {
    const [even, odd] = [upperOf(row[i]! << 16), upperOf(row[i]!)]
    if (even === 0 && odd === 0) continue
    const column = upperOf(low[i]!) - 1 + 128 * (upperOf(high[i]!) - 1)
    if (odd !== even + 1 || even % 2 !== 1) return undefined
    places[((even - 1) / 2) * n + column] = i
  }
  return places.includes(-1) ? undefined : places
}

const word = new Int32Array(1)
const float = new Float32Array(word.buffer)

/** The bfloat16 in the upper half of a word. */
function upperOf(bits: number): number {
  word[0] = bits & 0xffff0000
  return float[0]!
}

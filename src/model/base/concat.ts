type Numbers = Float32Array | Int32Array | Uint8Array

/** Concatenates arrays; a single array is returned without a copy. */
export function concat<T extends Numbers>(type: new (length: number) => T, arrays: readonly T[]): T {
  if (arrays.length === 1) return arrays[0]!
  const all = new type(arrays.reduce((sum, { length }) => sum + length, 0))
  let start = 0
  for (const array of arrays) {
    all.set(array, start)
    start += array.length
  }
  return all
}

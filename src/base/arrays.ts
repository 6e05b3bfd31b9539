export function positive(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

export function product(sides: readonly number[]): number {
  return sides.reduce((size, side) => size * side, 1)
}

export function equal<T>(a: readonly T[] | undefined, b: readonly T[]): boolean {
  return a !== undefined && a.length === b.length && a.every((value, i) => value === b[i])
}

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

/** Indices of names that occur earlier in the list; in one pass, since there may be hundreds of thousands. */
export function repeatedIndexes(names: readonly (string | number)[]): number[] {
  const seen = new Set<string | number>()
  return names.flatMap((name, i) => {
    if (seen.has(name)) return [i]
    seen.add(name)
    return []
  })
}

/** The middle value, or the mean of the two in the middle; NaN if there is none. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A number with at most `digits` significant digits; integers stay. */
export const rounded = (value: number, digits: number): number =>
  Number.isInteger(value) ? value : Number(value.toPrecision(digits))

/** For `JSON.stringify`: rounds all numbers so. */
export function roundedTo(digits: number): (key: string, value: unknown) => unknown {
  return (_key, value) => (typeof value === 'number' ? rounded(value, digits) : value)
}

/** An object without the properties that are undefined. */
export function withoutUndefined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never
}

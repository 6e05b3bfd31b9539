export function positive(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

export function product(sides: readonly number[]): number {
  return sides.reduce((size, side) => size * side, 1)
}

export function equal<T>(a: readonly T[] | undefined, b: readonly T[]): boolean {
  return a !== undefined && a.length === b.length && a.every((value, i) => value === b[i])
}

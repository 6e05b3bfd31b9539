/** Length of the top list; of a small group at most half of it. */
export const longestTop = 10

/** The best of some rows, the best first; of equal ones the first. */
export function best(rows: ArrayLike<number>, scores: ArrayLike<number>, most: number): number[] {
  return Array.from(rows)
    .sort((x, y) => scores[y]! - scores[x]! || x - y)
    .slice(0, most)
}

/** The share of the first scores' top list that the second have there too. */
export function overlap(rows: ArrayLike<number>, a: ArrayLike<number>, b: ArrayLike<number>): number {
  const k = Math.min(longestTop, Math.ceil(rows.length / 2))
  const first = new Set(best(rows, a, k))
  return best(rows, b, k).filter((row) => first.has(row)).length / k
}

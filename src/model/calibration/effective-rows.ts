/**
 * How many rows of equal weight would tell as much as rows of these weights: (Σ weight)² ÷ Σ weight² (Kish, Survey Sampling, 1965);
 * 0 without weight. Whatever the weights' unit, it is at most the number of rows.
 */
export function effectiveRows(rows: number, weightOf: (row: number) => number): number {
  let [sum, squares] = [0, 0]
  for (let row = 0; row < rows; row++) {
    sum += weightOf(row)
    squares += weightOf(row) ** 2
  }
  return squares === 0 ? 0 : sum ** 2 / squares
}

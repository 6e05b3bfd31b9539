/**
 * Predicts the time of one engine call: seconds = a · rows + b · requests + c, all at least 0, fitted online by least
 * squares with exponential forgetting, so that it follows a machine that becomes faster or slower. Knows how far it was
 * off lately, too.
 */
export interface CostModel {
  observe(rows: number, requests: number, seconds: number): void
  /** Seconds that a call of so many rows of so many requests takes; 0 before anything was observed. */
  predict(rows: number, requests: number): number
  /** Standard deviation of the actual time, as a share of the predicted one. */
  readonly spread: number
}

/** Weight of the past after each observation: about the last 50 calls count. */
const memory = 0.98

/** Weight of the belief that a call costs in proportion to its rows, where calls of one kind alone tell no more; of one call. */
const ridge = 1e-9

/** A call far slower than predicted counts as so many times slower: one pause must not shut the door. */
const largestError = 3

export function createCostModel(): CostModel {
  /** Weighted sums of products of [rows, requests, 1], and of each with seconds. */
  const products = new Float64Array(9)
  const moments = new Float64Array(3)
  const features = new Float64Array(3)
  let coefficients: readonly number[] = [0, 0, 0]
  let fitted = true
  let weight = 0
  let squaredErrors = 0

  function fit(): readonly number[] {
    if (!fitted) coefficients = nonNegativeLeastSquares(products, moments)
    fitted = true
    return coefficients
  }

  function predict(rows: number, requests: number): number {
    const [a, b, c] = fit() as [number, number, number]
    return a * rows + b * requests + c
  }

  return {
    observe(rows, requests, seconds) {
      const predicted = predict(rows, requests)
      const error = predicted > 0 ? Math.min(largestError, seconds / predicted - 1) : 0
      squaredErrors = memory * squaredErrors + error * error
      weight = memory * weight + 1
      features[0] = rows
      features[1] = requests
      features[2] = 1
      for (let i = 0; i < 3; i++) {
        moments[i] = memory * moments[i]! + features[i]! * seconds
        for (let j = 0; j < 3; j++) products[i * 3 + j] = memory * products[i * 3 + j]! + features[i]! * features[j]!
      }
      fitted = false
    },
    predict,
    get spread() {
      return weight === 0 ? 0 : Math.sqrt(squaredErrors / weight)
    },
  }
}

/** Which coefficients may be other than 0, most first: what fits with all of them at least 0 is taken. */
const subsets = [[0, 1, 2], [0, 2], [0, 1], [1, 2], [0], [1], [2]] as const

/** Of all solutions without a negative coefficient, the one with the least squared error. */
function nonNegativeLeastSquares(products: Float64Array, moments: Float64Array): readonly number[] {
  let best: readonly number[] = [0, 0, 0]
  let least = 0
  for (const subset of subsets) {
    const solution = solve(products, moments, subset)
    if (solution === undefined) continue
    // Squared error, but for what is the same for all.
    let error = 0
    for (let i = 0; i < 3; i++) {
      error -= 2 * solution[i]! * moments[i]!
      for (let j = 0; j < 3; j++) error += solution[i]! * solution[j]! * products[i * 3 + j]!
    }
    if (error < least) {
      best = solution
      least = error
    }
    // Nothing with less freedom fits better.
    if (subset.length === 3) break
  }
  return best
}

/** Gauss elimination of the normal equations of these coefficients; undefined where one comes out negative. */
function solve(products: Float64Array, moments: Float64Array, subset: readonly number[]): number[] | undefined {
  const size = subset.length
  const matrix = subset.map((i) => [
    ...subset.map((j) => products[i * 3 + j]! + (i === j && i !== 0 ? ridge * (products[0]! + 1) : 0)),
    moments[i]!,
  ])
  for (let i = 0; i < size; i++) {
    const pivot = matrix[i]![i]!
    if (!(pivot > 1e-12 * products[0]!)) return undefined
    for (let k = 0; k < size; k++) {
      if (k === i) continue
      const factor = matrix[k]![i]! / pivot
      for (let j = i; j <= size; j++) matrix[k]![j]! -= factor * matrix[i]![j]!
    }
  }
  const solution = [0, 0, 0]
  for (const [i, index] of subset.entries()) {
    const value = matrix[i]![size]! / matrix[i]![i]!
    if (!(value >= 0)) return undefined
    solution[index] = value
  }
  return solution
}

/**
 * Predicts the time of one engine call: seconds = a · rows + b · requests + c, all at least 0, fitted online by least
 * squares with exponential forgetting, so that it follows a machine that becomes faster or slower. Also tracks its
 * recent error.
 */
export interface CostModel {
  observe(rows: number, requests: number, seconds: number): void
  /** Seconds of a call; 0 before the first observation. */
  predict(rows: number, requests: number): number
  /** Standard deviation of the actual time, as a share of the predicted one. */
  readonly spread: number
}

/** Weight of the past after each observation: about the last 50 calls count. */
const memory = 0.98

/** Ridge penalty of the other coefficients: while all calls are alike, cost is taken as proportional to rows. */
const ridge = 1e-9

/** Limit of one relative error: a single pause must not make the model refuse everything. */
const largestError = 3

export function createCostModel(): CostModel {
  /** Weighted sums of products of [rows, requests, 1], and of each with seconds. */
  const products = new Float64Array(9)
  const moments = new Float64Array(3)
  const features = new Float64Array(3)
  const coefficients = new Float64Array(3)
  let fitted = true
  let weight = 0
  let squaredErrors = 0

  function predict(rows: number, requests: number): number {
    if (!fitted) nonNegativeLeastSquares(products, moments, coefficients)
    fitted = true
    return coefficients[0]! * rows + coefficients[1]! * requests + coefficients[2]!
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

/** Coefficients that may differ from 0, largest subsets first. */
const subsets = [[0, 1, 2], [0, 2], [0, 1], [1, 2], [0], [1], [2]] as const

/** Reused, since every call is followed by a fit. */
const matrix = new Float64Array(12)
const solution = new Float64Array(3)

/** The solution without negative coefficients that has the least squared error. */
function nonNegativeLeastSquares(products: Float64Array, moments: Float64Array, best: Float64Array): void {
  best.fill(0)
  let least = 0
  for (const subset of subsets) {
    if (!solve(products, moments, subset)) continue
    // Squared error, up to a constant.
    let error = 0
    for (let i = 0; i < 3; i++) {
      error -= 2 * solution[i]! * moments[i]!
      for (let j = 0; j < 3; j++) error += solution[i]! * solution[j]! * products[i * 3 + j]!
    }
    if (error < least) {
      best.set(solution)
      least = error
    }
    // A smaller subset cannot fit better.
    if (subset.length === 3) return
  }
}

/** Gauss elimination of the normal equations of these coefficients, into `solution`; false if one is negative. */
function solve(products: Float64Array, moments: Float64Array, subset: readonly number[]): boolean {
  const size = subset.length
  const width = size + 1
  for (let i = 0; i < size; i++) {
    const row = subset[i]!
    for (let j = 0; j < size; j++) matrix[i * width + j] = products[row * 3 + subset[j]!]!
    if (row !== 0) matrix[i * width + i]! += ridge * (products[0]! + 1)
    matrix[i * width + size] = moments[row]!
  }
  for (let i = 0; i < size; i++) {
    const pivot = matrix[i * width + i]!
    if (!(pivot > 1e-12 * products[0]!)) return false
    for (let k = 0; k < size; k++) {
      if (k === i) continue
      const factor = matrix[k * width + i]! / pivot
      for (let j = i; j <= size; j++) matrix[k * width + j]! -= factor * matrix[i * width + j]!
    }
  }
  solution.fill(0)
  for (let i = 0; i < size; i++) {
    const value = matrix[i * width + size]! / matrix[i * width + i]!
    if (!(value >= 0)) return false
    solution[subset[i]!] = value
  }
  return true
}

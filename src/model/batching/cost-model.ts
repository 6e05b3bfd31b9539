/**
 * Predicts the time of one engine call from its rows: seconds = a · rows + b, fitted online by least squares with
 * exponential forgetting, so that it follows a machine that becomes faster or slower.
 */
export interface CostModel {
  observe(rows: number, seconds: number): void
  /** Seconds that a call of so many rows takes; 0 before anything was observed. */
  predict(rows: number): number
}

/** Weight of the past after each observation: about the last 50 calls count. */
const memory = 0.98

export function createCostModel(): CostModel {
  let weight = 0
  let rowsSum = 0
  let secondsSum = 0
  let rowsSquared = 0
  let product = 0
  return {
    observe(rows, seconds) {
      weight = memory * weight + 1
      rowsSum = memory * rowsSum + rows
      secondsSum = memory * secondsSum + seconds
      rowsSquared = memory * rowsSquared + rows * rows
      product = memory * product + rows * seconds
    },
    predict(rows) {
      if (weight === 0) return 0
      const meanRows = rowsSum / weight
      const meanSeconds = secondsSum / weight
      const variance = rowsSquared / weight - meanRows * meanRows
      const covariance = product / weight - meanRows * meanSeconds
      // Calls of one size alone tell no slope: then time is taken as proportional to rows.
      if (variance < 1e-9 * rowsSquared) return (meanSeconds / meanRows) * rows
      const slope = Math.max(0, covariance / variance)
      const intercept = Math.max(0, meanSeconds - slope * meanRows)
      return slope * rows + intercept
    },
  }
}

/** Seconds until so many waiting rows have been computed; of what is under way, half is taken to be done. */
export function predictDrain(
  cost: CostModel,
  queuedRows: number,
  inFlightBatches: number,
  { maxBatchRows, concurrency }: { maxBatchRows: number; concurrency: number },
): number {
  const rest = queuedRows % maxBatchRows
  const fullBatches = (queuedRows - rest) / maxBatchRows + inFlightBatches / 2
  return (fullBatches * cost.predict(maxBatchRows) + (rest > 0 ? cost.predict(rest) : 0)) / concurrency
}

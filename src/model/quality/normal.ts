/** 97.5 % of a standard normal distribution lie below. */
export const z95 = 1.959963984540054

/**
 * Standard normal distribution function; absolute error below 1e-15 times a few (W. J. Cody's erfc by continued
 * fraction and series).
 */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN
  const size = Math.abs(x)
  if (size > 38) return x > 0 ? 1 : 0
  const density = Math.exp((-size * size) / 2) / Math.sqrt(2 * Math.PI)
  let upper: number
  if (size < 3) {
    // Φ(x) = ½ + φ(x) · Σ x^(2k+1) ÷ (1 · 3 · … · (2k+1))
    let term = size
    let sum = size
    for (let k = 3; term > sum * 1e-17; k += 2) {
      term *= (size * size) / k
      sum += term
    }
    upper = 0.5 - density * sum
  } else {
    // The continued fraction x + 1/(x + 2/(x + 3/(x + …))).
    let fraction = size
    for (let k = 60; k > 0; k--) fraction = size + k / fraction
    upper = density / fraction
  }
  return x > 0 ? 1 - upper : upper
}

/** E|X| of X ~ N(mean, deviation²). */
export function meanAbsolute(mean: number, deviation: number): number {
  if (deviation === 0) return Math.abs(mean)
  const z = mean / deviation
  return deviation * Math.sqrt(2 / Math.PI) * Math.exp((-z * z) / 2) + mean * (1 - 2 * normalCdf(-z))
}

/**
 * The x below which a share `probability` of a standard normal distribution lies, ±∞ of 0 and 1; by bisection, to
 * 1e-13.
 */
export function inverseNormal(probability: number): number {
  if (probability <= 0) return Number.NEGATIVE_INFINITY
  if (probability >= 1) return Number.POSITIVE_INFINITY
  // 1 − p is exact, and Φ near 0 is precise.
  if (probability > 0.5) return -inverseNormal(1 - probability)
  let [low, high] = [-40, 0]
  while (high - low > 1e-13) {
    const middle = (low + high) / 2
    if (middle === low || middle === high) break
    if (normalCdf(middle) < probability) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Whether probabilities need a logarithmic axis: all are small, and they span a decade. */
export function needsLogarithm(values: readonly number[]): boolean {
  const positive = values.filter((value) => value > 0)
  if (positive.length === 0) return false
  const high = Math.max(...positive)
  return high < 0.5 && high / Math.min(...positive) >= 10
}

/** Limits a little outside of the values; of a logarithmic axis never 0. */
export function limits(values: readonly number[], logarithmic: boolean): [low: number, high: number] {
  const high = Math.max(...values, 0)
  if (!logarithmic) return [0, Math.min(1, high * 1.05) || 1]
  const low = Math.min(...values.filter((value) => value > 0))
  return [low / 1.3, Math.min(1, high * 1.15)]
}

/** Places for labels of a logarithmic axis, at least `gap` pixels apart on `pixels`. */
export function logarithmicTicks([low, high]: readonly [number, number], pixels: number, gap: number): number[] {
  const perDecade = pixels / Math.log10(high / low)
  const steps = [[1, 2, 5], [1, 3], [1]].find((steps) => narrowest(steps) * perDecade >= gap) ?? [1]
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const step of steps) {
      const tick = Number(`${step}e${power}`)
      if (tick >= low && tick <= high) ticks.push(tick)
    }
  return everyOther(ticks, perDecade, gap)
}

/** Shortest distance between steps of a decade, in decades. */
function narrowest(steps: readonly number[]): number {
  return Math.min(...steps.map((step, i) => Math.log10((steps[i + 1] ?? 10) / step)))
}

/** Drops ticks of many decades until the rest are far enough apart. */
function everyOther(ticks: number[], perDecade: number, gap: number): number[] {
  const [first, second] = ticks
  if (first === undefined || second === undefined || Math.log10(second / first) * perDecade >= gap) return ticks
  return everyOther(
    ticks.filter((_, i) => i % 2 === 0),
    perDecade,
    gap,
  )
}

export const logit = (probability: number) => Math.log(probability / (1 - probability))

/** Probabilities for labels of a logit axis, at least `gap` pixels apart. */
export function logitTicks([low, high]: readonly [number, number], pixels: number, gap: number): number[] {
  const small = [0.000001, 0.00001, 0.0001, 0.001, 0.01, 0.1]
  const wanted = [0.5, ...small.toReversed(), 0.9, 0.99, 0.999, 0.9999, 0.03, 0.3, 0.7, 0.003, 0.0003]
  const chosen: number[] = []
  const position = (probability: number) => ((logit(probability) - low) / (high - low)) * pixels
  for (const probability of wanted) {
    const at = position(probability)
    if (at < -0.5 || at > pixels + 0.5) continue
    if (chosen.every((other) => Math.abs(position(other) - at) >= gap)) chosen.push(probability)
  }
  return chosen.sort((a, b) => a - b)
}

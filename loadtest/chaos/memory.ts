/** Memory of all processes at a moment. */
export interface MemorySample {
  /** Milliseconds from the start. */
  at: number
  /** Proportional set sizes, bytes. */
  bytes: number
  /** All processes were ready: while one is missing, so is its memory. */
  whole: boolean
}

export interface MemoryFit {
  /** The line's value at its begin, bytes. */
  level: number
  /** By which it rises from begin to end, bytes. */
  growth: number
  /** Begin and end, ms. */
  from: number
  to: number
  samples: number
}

/** The part of the run that is left out: caches fill, heaps find their size. */
const warmUp = 0.1

/** A line through the samples after the first tenth, by least squares; undefined with fewer than three. */
export function fitMemory(samples: readonly MemorySample[], runMs: number): MemoryFit | undefined {
  const used = samples.filter(({ at, whole }) => whole && at >= runMs * warmUp)
  if (used.length < 3) return undefined
  const mean = (of: (sample: MemorySample) => number) => used.reduce((sum, one) => sum + of(one), 0) / used.length
  const [at, bytes] = [mean((one) => one.at), mean((one) => one.bytes)]
  const covariance = mean((one) => (one.at - at) * (one.bytes - bytes))
  const variance = mean((one) => (one.at - at) ** 2)
  const slope = variance === 0 ? 0 : covariance / variance
  const [from, to] = [used[0]!.at, used.at(-1)!.at]
  return { level: bytes + slope * (from - at), growth: slope * (to - from), from, to, samples: used.length }
}

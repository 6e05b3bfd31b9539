import { createUniform } from '../model/base/random.ts'

/**
 * Arrival times of a Poisson process (independent users), ms from its start, ascending.
 *
 * Gaps are exponential with mean 1000 / `rate` (requests per second). The same seed gives the same times.
 */
export function poissonSchedule(rate: number, seconds: number, seed: number): Float64Array {
  if (!(rate > 0)) throw new RangeError(`the rate must be greater than 0, not ${rate}`)
  const random = createUniform(seed)
  const times: number[] = []
  for (let at = 0; ; ) {
    // 1 − u is in (0, 1], so its logarithm is finite.
    at -= (Math.log(1 - random()) / rate) * 1000
    if (at >= seconds * 1000) return Float64Array.from(times)
    times.push(at)
  }
}

/** Arrivals at each of these rates in turn (requests per second), each for `seconds`. */
export interface SteppedSchedule {
  times: Float64Array
  /** The first request of each step, and the number of requests. */
  starts: number[]
}

export function steppedSchedule(rates: readonly number[], seconds: number, seed: number): SteppedSchedule {
  const times: number[] = []
  const starts: number[] = []
  rates.forEach((rate, step) => {
    starts.push(times.length)
    for (const at of poissonSchedule(rate, seconds, seed + step)) times.push(step * seconds * 1000 + at)
  })
  return { times: Float64Array.from(times), starts: [...starts, times.length] }
}

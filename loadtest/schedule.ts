import { createRandom } from '../src/train/random.ts'

/**
 * Arrival times of a Poisson process, ms from its start, ascending: independent users who don't wait for one another.
 *
 * Gaps are exponential with mean 1000 / `rate` (requests per second). The same seed gives the same times.
 */
export function poissonSchedule(rate: number, seconds: number, seed: number): Float64Array {
  if (!(rate > 0)) throw new RangeError(`a rate is greater than 0, not ${rate}`)
  const random = createRandom(seed)
  const times: number[] = []
  for (let at = 0; ; ) {
    // 1 − u is in (0, 1], so that its logarithm is finite.
    at -= (Math.log(1 - random.uniform()) / rate) * 1000
    if (at >= seconds * 1000) return Float64Array.from(times)
    times.push(at)
  }
}

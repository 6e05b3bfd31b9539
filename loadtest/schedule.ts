import { createRandom } from '../src/train/random.ts'

/**
 * Arrival times of a Poisson process (independent users), ms from its start, ascending.
 *
 * Gaps are exponential with mean 1000 / `rate` (requests per second). The same seed gives the same times.
 */
export function poissonSchedule(rate: number, seconds: number, seed: number): Float64Array {
  if (!(rate > 0)) throw new RangeError(`the rate must be greater than 0, not ${rate}`)
  const random = createRandom(seed)
  const times: number[] = []
  for (let at = 0; ; ) {
    // 1 − u is in (0, 1], so its logarithm is finite.
    at -= (Math.log(1 - random.uniform()) / rate) * 1000
    if (at >= seconds * 1000) return Float64Array.from(times)
    times.push(at)
  }
}

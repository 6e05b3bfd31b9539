import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** A seeded stream of numbers, uniform over [0, 1): the same on every machine. */
export function createUniform(seed: number): () => number {
  const generator = xoroshiro128plus(seed)
  return () => uniformFloat64(generator)
}

/** A standard normal value (Box and Muller); `random` is uniform over [0, 1). */
export function standardNormal(random: () => number): number {
  // 1 − u is in (0, 1], so that its logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

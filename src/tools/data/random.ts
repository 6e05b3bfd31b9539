import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { standardNormal } from '../../base/hash.ts'

/** A seeded stream of random numbers: the same seed gives the same numbers on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number
  /** Uniform integer in [0, bound). */
  integer(bound: number): number
  /** Standard normal. */
  normal(): number
}

/** xoroshiro128+ (Blackman and Vigna 2018). */
export function createRandom(seed: number): Random {
  const generator = xoroshiro128plus(seed)
  const uniform = () => uniformFloat64(generator)
  return {
    uniform,
    integer: (bound) => uniformInt(generator, 0, bound - 1),
    normal: () => standardNormal(uniform),
  }
}

/** Draws an index with probability ∝ its weight. */
export function createDraw(weights: readonly number[]): (random: Random) => number {
  const cumulative = new Float64Array(weights.length)
  let total = 0
  weights.forEach((weight, index) => {
    total += weight
    cumulative[index] = total
  })
  return (random) => {
    const target = random.uniform() * total
    let low = 0
    let high = weights.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (cumulative[middle]! > target) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Zipf weights 1/(rank + 1)^exponent for `size` ranks. */
export function zipf(size: number, exponent: number): number[] {
  return Array.from({ length: size }, (_, rank) => (rank + 1) ** -exponent)
}

/** Shuffles `values` in place (Fisher–Yates). */
export function shuffle(values: Int32Array, random: Random): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.integer(i + 1)
    const value = values[i]!
    values[i] = values[j]!
    values[j] = value
  }
}

/** `length` things that `make` makes. */
export const list = <T>(length: number, make: (index: number) => T) => Array.from({ length }, (_, index) => make(index))

/** Σ a_i·b_i over the elements of `a`. */
export function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

export const round = (x: number, digits: number) => Number(x.toFixed(digits))

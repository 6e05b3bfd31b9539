import { createUniform } from '../../src/base/hash.ts'
import { keyOf } from './ads.ts'

/** Keys of one request. */
const together = 100
/** Requests whose keys are made at a time: strings that were just made, as those of a body are. */
const prepared = 100
/** Fixed, so that all stores are asked for the same keys, where they have as many ads. */
const seed = 11
/** A prime number, which spreads ranks over ads. */
const spread = 99_999_989

/** The number of a random ad. */
export type Draw = () => number

export function drawUniform(ads: number): Draw {
  const random = createUniform(seed)
  return () => Math.floor(random() * ads)
}

/** An ad is as frequent as 1 / its rank, about; ranks are spread over the ads. */
export function drawZipf(ads: number): Draw {
  const random = createUniform(seed)
  return () => ((Math.floor((ads + 1) ** random()) - 1) * spread) % ads
}

/** Asks for `reads` keys; keys per second. */
export function measureReads(ask: (keys: readonly string[]) => number, draw: Draw, reads: number): number {
  let milliseconds = 0
  let asked = 0
  let sum = 0
  while (asked < reads) {
    const requests = Array.from({ length: prepared }, () => Array.from({ length: together }, () => keyOf(draw())))
    const started = performance.now()
    for (const keys of requests) sum += ask(keys)
    milliseconds += performance.now() - started
    asked += prepared * together
  }
  // A compiler may leave out reads that nobody uses.
  if (Number.isNaN(sum)) throw new Error('a value is missing')
  return asked / (milliseconds / 1000)
}

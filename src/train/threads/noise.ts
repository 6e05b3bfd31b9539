/*
 * Random numbers that follow from where they are used, not from what was drawn before: so they are the same in every thread, and
 * after a run that was interrupted.
 */

/** A 32-bit hash of a counter: the finaliser of MurmurHash3 (A. Appleby), over two words. */
export function noise(seed: number, counter: number): number {
  let h = Math.imul(counter ^ (counter >>> 15), 0x2c1b3c6d) ^ seed
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The bound below which `noise` lies in this share of cases. */
export const noiseBound = (share: number): number => Math.round(share * 2 ** 32)

/** Fills `mask` with 0, in a share of places, and 1 ÷ (1 − share); place `i` is the place `first + i` of the step. */
export function drawMask(mask: Float32Array, share: number, seed: number, first: number): void {
  const bound = noiseBound(share)
  const kept = 1 / (1 - share)
  for (let i = 0; i < mask.length; i++) mask[i] = noise(seed, first + i) < bound ? 0 : kept
}

/** A standard normal value (Box and Muller); `random` is uniform over [0, 1). */
export function standardNormal(random: () => number): number {
  // 1 − u is in (0, 1], so that its logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

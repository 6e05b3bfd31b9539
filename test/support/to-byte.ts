/** A float32 number rounded to the nearest byte, halves to even, within 0 … 255; NaN is 0. */
export function toByte(exact: number): number {
  const value = Math.fround(exact)
  const bounded = value > 0 ? Math.min(value, 255) : 0
  const floor = Math.floor(bounded)
  const rest = bounded - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

/*
 * Rows of float32 values in formats of fewer bytes.
 */

/** Largest float16. */
const mostFloat16 = 65504
/** Largest float32. */
const mostFloat32 = (2 - 2 ** -23) * 2 ** 127
/** Smallest normal float16, as the bits of a float32. */
const leastNormal = 0x38800000
/** What the exponents of float32 and float16 differ by, in bits of a float32. */
const exponentStep = 0x38000000
/** Steps of an int8 on each side of 0. */
const steps = 127

/** Rounds to the nearest float16, ties to even. Throws an Error for values that it can't hold. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const halves = new Uint16Array(values.length)
  const one = new Float32Array(1)
  const oneBits = new Uint32Array(one.buffer)
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]!) <= mostFloat16)) throw new Error(`${values[i]} is no float16`)
    const sign = (bits[i]! >>> 16) & 0x8000
    const size = bits[i]! & 0x7fffffff
    if (size >= leastNormal) {
      const shifted = size - exponentStep
      halves[i] = sign | ((shifted + 0xfff + ((shifted >>> 13) & 1)) >>> 13)
    } else {
      // Below 2^-14 steps are 2^-24, as those of a float32 between 0.5 and 1: its addition rounds.
      one[0] = 0.5 + Math.abs(values[i]!)
      halves[i] = sign | (oneBits[0]! - 0x3f000000)
    }
  }
  return halves
}

/** Rows [rows, dim] as bytes, with a scale for each row: value ≈ byte · scale. Throws an Error for values that are not finite. */
export function toInt8(values: Float32Array, dim: number): { bytes: Int8Array; scales: Float32Array } {
  const bytes = new Int8Array(values.length)
  const scales = new Float32Array(values.length / dim)
  for (let row = 0; row < scales.length; row++) {
    const start = row * dim
    let most = 0
    for (let i = start; i < start + dim; i++) {
      const size = Math.abs(values[i]!)
      if (!(size <= mostFloat32)) throw new Error(`${values[i]} is not finite`)
      if (size > most) most = size
    }
    scales[row] = most / steps
    const scale = scales[row]!
    // A row of zeros, or of values so small that no float32 is their step.
    if (scale === 0) continue
    for (let i = start; i < start + dim; i++)
      bytes[i] = Math.max(-steps, Math.min(steps, Math.round(values[i]! / scale)))
  }
  return { bytes, scales }
}

import { product } from '../base/dims.ts'

/*
 * Constants in another layout; all are row-major.
 */

/** Transposes: dimension `perm[i]` becomes dimension i. */
export function permute(values: Float32Array, dims: readonly number[], perm: readonly number[]): Float32Array {
  const strides = stridesOf(dims)
  return gather(
    values,
    perm.map((axis) => dims[axis]!),
    perm.map((axis) => strides[axis]!),
  )
}

/** Broadcasts to these dimensions, as element-wise operators do; undefined if that is impossible. */
export function broadcast(values: Float32Array, dims: readonly number[], sides: readonly number[]) {
  const missing = sides.length - dims.length
  if (missing < 0 || dims.some((side, i) => side !== 1 && side !== sides[missing + i])) return undefined
  const strides = stridesOf(dims)
  const steps = sides.map((_, i) => (i < missing || dims[i - missing] === 1 ? 0 : strides[i - missing]!))
  return gather(values, sides, steps)
}

function gather(values: Float32Array, sides: readonly number[], steps: readonly number[]): Float32Array {
  return Float32Array.from({ length: product(sides) }, (_, place) => {
    let from = 0
    for (let i = sides.length - 1, rest = place; i >= 0; i--) {
      from += (rest % sides[i]!) * steps[i]!
      rest = Math.floor(rest / sides[i]!)
    }
    return values[from]!
  })
}

function stridesOf(dims: readonly number[]): number[] {
  return dims.map((_, i) => product(dims.slice(i + 1)))
}

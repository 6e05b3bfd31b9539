import { product } from '../../../base/arrays.ts'

/*
 * The axes of tensors in a graph whose lists may be cut to their length: which of them count the places of a list, and
 * what the places behind a list's last value hold.
 */

/** The values of a tensor at the places of padding. */
export interface Padding {
  /** The places hold the same values. */
  alike: boolean
  /** The number that they hold, where it is known. */
  value?: number
  /** They hold numbers whose exponentials are 0 beside those of real scores, such as −1e9 plus a score. */
  low?: true
  /** `value` is 0, but in lists that are empty: there a softmax of low numbers is not 0. */
  unlessEmpty?: true
}

/** The places of a list. */
export interface Places {
  /** The number of the list, or of the sequence of lists, which have the same lengths. */
  list: number
  /** Most of its values. */
  size: number
  padding: Padding
}

/** A factor of an axis's size: a number, or that of rows or requests, which a call gives. */
export type Factor = number | 'rows' | Places

/** The factors of a size, row-major; none: 1. */
export type Axis = readonly Factor[]

export const isPlaces = (factor: Factor): factor is Places => typeof factor === 'object'

/** The places among an axis's factors. */
export const placesOf = (axis: Axis): Places | undefined => axis.find(isPlaces)

/** The places of an axis that counts them and nothing else. */
export const onlyPlaces = (axis: Axis): Places | undefined => (axis.length === 1 ? placesOf(axis) : undefined)

export const hasPlaces = (axes: readonly Axis[]): boolean => axes.some((axis) => placesOf(axis) !== undefined)

/** Axes of the sides of a `TensorShape`. */
export const axesOfDims = (dims: readonly number[]): Axis[] =>
  dims.map((side) => (side === 1 ? [] : side >= 0 ? [side] : side === -1 ? ['rows'] : ['rows', -side]))

/** Whether two axes have the same size, whatever a call gives. */
export function isSameAxis(a: Axis, b: Axis): boolean {
  return (
    a.length === b.length &&
    a.every((factor, i) => {
      const other = b[i]!
      return isPlaces(factor) ? isPlaces(other) && other.list === factor.list : factor === other
    })
  )
}

/** An axis with other padding. */
export const repad = (axis: Axis, pad: (padding: Padding) => Padding): Axis =>
  axis.map((factor) => (isPlaces(factor) ? { ...factor, padding: pad(factor.padding) } : factor))

/** A side of the shape that a Reshape asks for: a number of ONNX, or undefined where each call has its own. */
export type Target = number | undefined

/**
 * The axes of a tensor that gets another shape, row-major. Undefined where a side would divide the places of a list, or
 * can't be found.
 */
export function regroup(axes: readonly Axis[], targets: readonly Target[]): Axis[] | undefined {
  const given = targets.map((target, i) => (target === 0 ? axes[i] : undefined))
  const factors = axes.flat()
  const open = targets.findIndex((target, i) => target === undefined || target === -1 || given[i] !== undefined)
  if (open < 0) return takeAll(factors, targets as number[])
  // From the last side on, as far as sizes are known; then from the first.
  const last = targets.findLastIndex((target) => target === undefined || target === -1 || target === 0)
  const behind = takeEnd(factors, targets.slice(last + 1) as number[])
  const before = behind && takeStart(behind.rest, targets.slice(0, open) as number[])
  if (behind === undefined || before === undefined) return undefined
  const middle = divideOpen(before.rest, targets.slice(open, last + 1), given.slice(open, last + 1))
  return middle && [...before.axes, ...middle, ...behind.axes]
}

/** Sides that a call gives, known ones between them, and one that takes the rest. */
function divideOpen(
  factors: readonly Factor[],
  targets: readonly Target[],
  given: readonly (Axis | undefined)[],
): Axis[] | undefined {
  const axes: Axis[] = []
  let rest = factors
  const free = targets.indexOf(-1)
  for (const [i, target] of targets.slice(0, free < 0 ? undefined : free).entries()) {
    const kept = given[i] ?? (target === undefined ? partOfRows(rest) : undefined)
    const taken = kept === undefined ? takeStart(rest, [target as number]) : { axes: [kept], rest: without(rest, kept) }
    if (taken?.rest === undefined) return undefined
    axes.push(...taken.axes)
    rest = taken.rest
  }
  // Rows that others were a part of are left.
  const whole = [
    ...(factors.includes('rows') ? (['rows'] as const) : []),
    ...rest.filter((factor) => factor !== 'rows'),
  ]
  if (free < 0) return rest.every((factor) => factor === 'rows') ? axes : undefined
  return free === targets.length - 1 ? [...axes, whole] : undefined
}

/** A side that a call gives: rows where there are several, or a part of them. */
const partOfRows = (rest: readonly Factor[]): Axis =>
  rest.filter((factor) => factor === 'rows').length > 1 ? ['rows'] : []

/** The factors behind those of an axis, which must come first. */
function without(rest: readonly Factor[], axis: Axis): readonly Factor[] | undefined {
  return isSameAxis(axis, rest.slice(0, axis.length)) ? rest.slice(axis.length) : undefined
}

function takeAll(factors: readonly Factor[], sizes: readonly number[]): Axis[] | undefined {
  const taken = takeEnd(factors, sizes)
  return taken?.rest.length === 0 ? taken.axes : undefined
}

interface Taken {
  axes: Axis[]
  rest: readonly Factor[]
}

function takeEnd(factors: readonly Factor[], sizes: readonly number[]): Taken | undefined {
  const rest = [...factors]
  const axes: Axis[] = []
  for (const size of sizes.toReversed()) {
    const axis: Factor[] = []
    let left = size
    while (left > 1) {
      const factor = rest.pop()
      const known = sizeOf(factor)
      if (factor === undefined || known === undefined) return undefined
      if (left % known === 0) {
        axis.unshift(factor)
        left /= known
      } else if (typeof factor === 'number' && known % left === 0) {
        axis.unshift(left)
        rest.push(known / left)
        left = 1
      } else return undefined
    }
    axes.unshift(axis)
  }
  return { axes, rest }
}

function takeStart(factors: readonly Factor[], sizes: readonly number[]): Taken | undefined {
  const turned = takeEnd(factors.toReversed(), sizes.toReversed())
  return turned && { axes: turned.axes.toReversed().map((axis) => axis.toReversed()), rest: turned.rest.toReversed() }
}

const sizeOf = (factor: Factor | undefined): number | undefined =>
  typeof factor === 'number' ? factor : factor === undefined || factor === 'rows' ? undefined : factor.size

/** The size of an axis whose factors are known. */
export const sizeOfAxis = (axis: Axis): number | undefined => {
  const sizes = axis.map(sizeOf)
  return sizes.includes(undefined) ? undefined : product(sizes as number[])
}

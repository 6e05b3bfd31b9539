import { positive } from '../../../base/arrays.ts'
import { intAttribute, intsAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import {
  type Axis,
  hasPlaces,
  isSameAxis,
  onlyPlaces,
  type Padding,
  type Places,
  placesOf,
  repad,
  type Target,
} from './axes.ts'

/*
 * How the axes of an operator's output follow from those of its inputs, some of which count the places of a list, and
 * what it makes of padding: a sum over places may leave padding out where that adds nothing.
 */

/** A node that reads a tensor with the places of a list. */
export interface MeetsPlaces {
  graph: Graph
  node: NodeProto
  axesOf(input: string): readonly Axis[]
  /** The number that all elements of a constant are. */
  numberOf(input: string): number | undefined
  /** The node's value of numbers; undefined where it is not known. */
  compute(values: readonly number[]): number | undefined
  /** The sides that a computed shape asks for. */
  targetsOf(input: string): readonly Target[]
  /** Says that the constant `input` has to be cut to a list's length along its axis. */
  cutConstant(input: string, axis: number, places: Places): void
}

/** The axes of a node's outputs. Throws `NotCut` where padding can't be left out. */
export type FollowPlaces = (node: MeetsPlaces) => (readonly Axis[])[]

/** Why the padding of lists is computed like values. */
export class NotCut extends Error {}

/** Scores of real items are far above: their exponentials make those of padding 0. */
const lowest = -1000

const isLow = ({ low, value }: Padding): boolean => low === true || (value !== undefined && value <= lowest)
/** Whether padding adds nothing to a sum; `other`: of what it is multiplied by. */
const addsNothing = ({ value, unlessEmpty }: Padding, other: Padding): boolean =>
  value === 0 && (unlessEmpty !== true || other.alike)

/** Elements are computed from those at their places; the smaller operand counts as repeated. */
export const eachPlace: FollowPlaces = (met) => {
  const { node } = met
  const inputs = node.input.filter((name) => name !== '')
  const operands = inputs.map((name) => ({ name, axes: met.axesOf(name) }))
  const rank = Math.max(...operands.map(({ axes }) => axes.length))
  const output = Array.from({ length: rank }, (_, at): Axis => {
    const aligned = operands.map(({ name, axes }) => {
      const axis = at - (rank - axes.length)
      return { name, axis, factors: axes[axis] ?? [] }
    })
    const all = aligned.map(({ factors }) => factors)
    const whole = all.find(placesOf) ?? all.find(({ length }) => length > 0) ?? []
    const places = onlyPlaces(whole)
    for (const { name, axis, factors } of aligned) {
      if (factors.length === 0 || isSameAxis(factors, whole)) continue
      if (places === undefined || !met.graph.constants.has(name) || factors[0] !== places.size) {
        if (placesOf(whole)) throw new NotCut('meets values of another number')
        continue
      }
      met.cutConstant(name, axis, places)
    }
    if (placesOf(whole) === undefined) return whole
    const paddings = aligned.map(({ name, factors }): Padding => {
      const own = placesOf(factors)
      if (own !== undefined) return own.padding
      const value = met.numberOf(name)
      const isCut = factors.length > 0
      return { alike: !isCut || value !== undefined, ...(value !== undefined && { value }) }
    })
    return repad(whole, () => combine(met, paddings))
  })
  return [output]
}

function combine(met: MeetsPlaces, paddings: readonly Padding[]): Padding {
  const { opType } = met.node
  const alike = paddings.every((padding) => padding.alike)
  if (opType === 'Where') {
    const [condition, yes, no] = paddings as [Padding, Padding, Padding]
    if (condition.value !== undefined) return condition.value === 0 ? no : yes
  }
  if (opType === 'Mul') {
    const zero = paddings.find(({ value, unlessEmpty }) => value === 0 && unlessEmpty !== true)
    if (zero !== undefined) return { alike: true, value: 0 }
    if (paddings.some(({ value }) => value === 0)) return { alike, value: 0, unlessEmpty: true }
  }
  // Nothing that is computed is lower than what masks it.
  const low = opType === 'Min' ? paddings.find(isLow) : undefined
  if (low) return low.value === undefined ? { alike, low: true } : { alike: true, value: low.value }
  const values = paddings.map(({ value, unlessEmpty }) => (unlessEmpty ? undefined : value))
  const value = values.includes(undefined) ? undefined : met.compute(values as number[])
  if (value !== undefined) return { alike: true, value }
  if (opType === 'Add' || opType === 'Sub') {
    if (paddings.some(({ value }, i) => value === (opType === 'Sub' && i === 1 ? Infinity : -Infinity)))
      return { alike: true, value: -Infinity }
    if (isLow(paddings[0]!) || (opType === 'Add' && paddings.some(isLow))) return { alike, low: true }
  }
  return { alike }
}

/** The same elements at the same places, such as rounded ones; the other inputs are constants. */
export const samePlaces: FollowPlaces = ({ node, axesOf }) => {
  const [x, ...parameters] = node.input as [string, ...string[]]
  const axes = axesOf(x)
  const axis = positive(intAttribute(node, 'axis', 1), axes.length)
  const perPlace = parameters.some((name) => name !== '' && axesOf(name).flat().length > 0)
  if (perPlace && placesOf(axes[axis]!)) throw new NotCut('has a parameter for each place')
  return [axes.map((own) => repad(own, ({ alike }) => ({ alike })))]
}

/** Over one axis, whose places must be low at padding. */
export const softmaxOfPlaces: FollowPlaces = ({ node, axesOf }) => {
  const axes = axesOf(node.input[0]!)
  const along = positive(intAttribute(node, 'axis', -1), axes.length)
  return [
    axes.map((axis, at) =>
      repad(axis, (padding) => {
        if (at !== along) return { alike: padding.alike }
        if (onlyPlaces(axis) === undefined || !isLow(padding)) throw new NotCut('gives padding a share')
        // An empty list has −∞ alone, which gives NaN, however many.
        if (padding.value === -Infinity) return { alike: true, value: 0 }
        if (!padding.alike) throw new NotCut('gives the places of an empty list different shares')
        return { alike: true, value: 0, unlessEmpty: true }
      }),
    ),
  ]
}

/** Over the last axes. */
export const normalisedPlaces: FollowPlaces = ({ node, axesOf }) => {
  const axes = axesOf(node.input[0]!)
  const first = positive(intAttribute(node, 'axis', -1), axes.length)
  if (hasPlaces(axes.slice(first))) throw new NotCut('normalises over places')
  return node.output.map((_, i) => {
    const own = axes.map((axis) => repad(axis, ({ alike }) => ({ alike })))
    return i === 0 ? own : own.map((axis, at) => (at < first ? axis : []))
  })
}

/** Sums or extremes over axes. */
export const reducedPlaces =
  (kind: 'sum' | 'mean' | 'max'): FollowPlaces =>
  ({ graph, node, axesOf }) => {
    const axes = axesOf(node.input[0]!)
    const listed = node.input[1] ? graph.integersOf(node.input[1]) : intsAttribute(node, 'axes')
    if (node.input[1] && listed === undefined) throw new NotCut('sums over axes that are computed')
    const reduced = new Set((listed ?? [...axes.keys()]).map((axis) => positive(axis, axes.length)))
    for (const axis of reduced) {
      const places = placesOf(axes[axis]!)
      if (places === undefined) continue
      const { padding } = places
      const isFree = kind === 'sum' ? addsNothing(padding, { alike: false }) : kind === 'max' && isLow(padding)
      if (!isFree || onlyPlaces(axes[axis]!) === undefined) throw new NotCut('counts padding')
    }
    const kept = axes.map((axis, at) => (reduced.has(at) ? [] : repad(axis, reduce(kind))))
    return [intAttribute(node, 'keepdims', 1) === 1 ? kept : kept.filter((_, at) => !reduced.has(at))]
  }

const reduce =
  (kind: 'sum' | 'mean' | 'max') =>
  ({ alike, value, unlessEmpty }: Padding): Padding =>
    value !== undefined && !unlessEmpty && (kind !== 'sum' || value === 0) ? { alike, value } : { alike }

/** A [… m, k] · B [… k, n] */
export const multipliedPlaces: FollowPlaces = ({ node, axesOf }) => {
  const [a, b] = node.input.slice(0, 2).map(axesOf) as [readonly Axis[], readonly Axis[]]
  if (a.length < 2 || b.length < 2) throw new NotCut('multiplies a vector')
  const [inner, other] = [a.at(-1)!, b.at(-2)!]
  sumOver(inner, other)
  const stacks = alignStacks(a.slice(0, -2), b.slice(0, -2))
  return [[...stacks, repad(a.at(-2)!, productOf), repad(b.at(-1)!, productOf)]]
}

function sumOver(inner: Axis, other: Axis): void {
  const [left, right] = [placesOf(inner), placesOf(other)]
  if (left === undefined && right === undefined) return
  if (left === undefined || right === undefined || !onlyPlaces(inner) || !isSameAxis(inner, other))
    throw new NotCut('has a weight for each place')
  if (!addsNothing(left.padding, right.padding) && !addsNothing(right.padding, left.padding))
    throw new NotCut('sums over padding')
}

const productOf = ({ alike, value, unlessEmpty }: Padding): Padding =>
  value === 0 && !unlessEmpty ? { alike: true, value: 0 } : { alike }

function alignStacks(a: readonly Axis[], b: readonly Axis[]): Axis[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, at) => {
    const [left, right] = [a[at - (rank - a.length)] ?? [], b[at - (rank - b.length)] ?? []]
    if (left.length > 0 && right.length > 0 && !isSameAxis(left, right)) {
      if (placesOf(left) || placesOf(right)) throw new NotCut('meets values of another number')
    }
    const [own, other] = left.length > 0 ? [left, right] : [right, left]
    return repad(own, (padding) => {
      const second = placesOf(other)?.padding ?? { alike: true }
      if (productOf(padding).value === 0 || productOf(second).value === 0) return { alike: true, value: 0 }
      return { alike: padding.alike && second.alike }
    })
  })
}

/** x [m, k] · W, plus what each row, or all rows, add. `weights`, `addend`: their inputs. */
export const rowsByWeights =
  (weights: number, addend: number): FollowPlaces =>
  ({ node, axesOf }) => {
    const axes = axesOf(node.input[0]!)
    const isTurned = ['transA', 'transB'].some((name) => intAttribute(node, name, 0) !== 0)
    if (isTurned || hasPlaces(axes.slice(1))) throw new NotCut('has a weight for each place')
    const others = node.input.filter((name, i) => i > 0 && i !== addend && name !== '')
    if (others.some((name) => hasPlaces(axesOf(name)))) throw new NotCut('multiplies rows by places')
    const added = node.input[addend] ? axesOf(node.input[addend]!) : []
    const rows = added.length > 1 ? added[0]! : []
    if (rows.length > 0 && !isSameAxis(rows, axes[0]!) && hasPlaces([rows, axes[0]!]))
      throw new NotCut('adds values of another number')
    const alike = placesOf(rows)?.padding.alike !== false
    const columns = axesOf(node.input[weights]!).at(-1)!
    return [[repad(axes[0]!, (padding) => ({ alike: padding.alike && alike })), columns]]
  }

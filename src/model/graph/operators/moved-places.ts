import { positive } from '../../../base/arrays.ts'
import { intAttribute, intsAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { type Axis, isSameAxis, placesOf, regroup, repad, sizeOfAxis } from './axes.ts'

import { type FollowPlaces, NotCut } from './places.ts'

/* Operators that move elements with the places of lists, and compute none. */

/** Rows of the first input, by indexes. */
export const gatheredPlaces: FollowPlaces = ({ graph, node, axesOf }) => {
  const [data, indexes] = node.input as [string, string]
  const [from, by] = [axesOf(data), axesOf(indexes)]
  const axis = positive(intAttribute(node, 'axis', 0), from.length)
  if (placesOf(from[axis]!)) throw new NotCut('picks places')
  const found = by.map((own) =>
    repad(own, ({ alike, value }) => {
      const isZero = value !== undefined && axis === 0 && isZeroRow(graph, data, value)
      return isZero ? { alike, value: 0 } : { alike }
    }),
  )
  return [[...from.slice(0, axis), ...found, ...from.slice(axis + 1)]]
}

/** Whether a table's row is all zeros; external tables are not read for it. */
function isZeroRow(graph: Graph, table: string, row: number): boolean {
  const values = graph.floats(table)
  const width = graph.dimsOf(table)?.[1]
  if (values === undefined || width === undefined) return false
  return values.length >= (row + 1) * width && values.subarray(row * width, (row + 1) * width).every((x) => x === 0)
}

/** Along an axis other than that of places. */
export const joinedPlaces: FollowPlaces = ({ node, axesOf }) => {
  const all = node.input.map(axesOf)
  const rank = all[0]!.length
  const along = positive(intAttribute(node, 'axis', 0), rank)
  if (all.some((axes) => placesOf(axes[along]!))) throw new NotCut('puts lists one behind the other')
  const sizes = all.map((axes) => sizeOfAxis(axes[along]!))
  if (!sizes.every((size) => size !== undefined)) throw new NotCut('joins sizes that a call gives')
  const total = [sizes.reduce((sum, size) => sum + size)]
  return [
    all[0]!.map((_, at): Axis => {
      if (at === along) return total
      const aligned = all.map((axes) => axes[at]!)
      const first = aligned.find((axis) => placesOf(axis)) ?? aligned[0]!
      if (!aligned.every((axis) => isSameAxis(axis, first))) {
        if (placesOf(first)) throw new NotCut('joins lists of other lengths')
        return first
      }
      const paddings = aligned.map((axis) => placesOf(axis)?.padding)
      return repad(first, () => {
        const [one] = paddings
        const same = paddings.every(
          (padding) => padding?.value === one?.value && padding?.unlessEmpty === one?.unlessEmpty,
        )
        const alike = paddings.every((padding) => padding?.alike === true)
        return same && one?.value !== undefined ? { ...one, alike } : { alike }
      })
    }),
  ]
}

/** Parts of an axis other than that of places. */
export const dividedPlaces: FollowPlaces = ({ graph, node, axesOf }) => {
  const axes = axesOf(node.input[0]!)
  const cut = cutAxes(graph, node, axes.length)
  if (cut === undefined || cut.some((axis) => placesOf(axes[axis]!))) throw new NotCut('picks places')
  return node.output.map((name) => {
    const dims = graph.shapes.get(name)?.dims
    return axes.map((axis, at): Axis => {
      if (!cut.includes(at)) return axis
      const side = dims?.[at]
      if (side === undefined || side < 0) throw new NotCut('picks parts of a size that is not known')
      return side === 1 ? [] : [side]
    })
  })
}

function cutAxes(graph: Graph, node: NodeProto, rank: number): number[] | undefined {
  if (node.opType === 'Split') return [positive(intAttribute(node, 'axis', 0), rank)]
  const [, starts, , axes] = node.input
  const listed = axes ? graph.integersOf(axes) : graph.integersOf(starts ?? '')?.map((_, axis) => axis)
  return listed?.map((axis) => positive(axis, rank))
}

export const transposedPlaces: FollowPlaces = ({ node, axesOf }) => {
  const axes = axesOf(node.input[0]!)
  const perm = intsAttribute(node, 'perm') ?? [...axes.keys()].reverse()
  return [perm.map((axis) => axes[axis]!)]
}

export const reshapedPlaces: FollowPlaces = ({ node, axesOf, targetsOf }) => {
  const axes = regroup(axesOf(node.input[0]!), targetsOf(node.input[1]!))
  if (axes === undefined) throw new NotCut('divides the places of a list')
  return [axes]
}

/** Repeated along axes of one; a side of places stays. */
export const repeatedPlaces: FollowPlaces = ({ node, axesOf, targetsOf }) => {
  const axes = axesOf(node.input[0]!)
  const targets = targetsOf(node.input[1]!)
  const shift = targets.length - axes.length
  if (shift < 0) throw new NotCut('is repeated to a smaller rank')
  return [
    targets.map((target, at): Axis => {
      const own = axes[at - shift] ?? []
      if (own.length > 0) return own
      return target === undefined || target < 0 ? ['rows'] : target === 1 ? [] : [target]
    }),
  ]
}

/** The type alone changes; truth values are 0 and 1. */
export const castPlaces: FollowPlaces = ({ node, axesOf }) => {
  const isTruth = intAttribute(node, 'to', 0) === DataType.BOOL
  return [
    axesOf(node.input[0]!).map((axis) =>
      repad(axis, (padding) =>
        isTruth && padding.value !== undefined ? { alike: padding.alike, value: Number(padding.value !== 0) } : padding,
      ),
    ),
  ]
}

export const unchangedPlaces: FollowPlaces = ({ node, axesOf }) => node.output.map(() => axesOf(node.input[0]!))

import { positive } from '../../../base/arrays.ts'
import { intAttribute, intsAttribute } from '../ir/attributes.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import * as rows from '../rows/layout.ts'
import type { Appender } from './appender.ts'
import { joined, picked, reshaped } from './columns.ts'
import {
  dividedPlaces,
  gatheredPlaces,
  joinedPlaces,
  repeatedPlaces,
  reshapedPlaces,
  transposedPlaces,
} from './moved-places.ts'
import {
  absent,
  composed,
  notMet,
  type Operator,
  ofOneInput,
  otherArguments,
  type Rule,
  unfollowed,
  wholeLists,
} from './operator.ts'

/* Operators that move elements and compute none. */

const reshape = ofOneInput(({ append, gradient }, x) => append.reshapeLike(gradient, x))

const transpose = ofOneInput(({ append, gradient, node }, x) => {
  const rank = append.dims(x).length
  const perm = intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis)
  return append.transpose(
    gradient,
    perm.map((_, axis) => perm.indexOf(axis)),
  )
})

const concat: Rule = (application) => {
  const { append, gradient, node } = application
  const axis = positive(intAttribute(node, 'axis', 0), append.dims(gradient).length)
  const sides = node.input.map((name) => append.dims(name)[axis]!)
  if (sides.some((side) => side < 0)) throw new Error('concatenating rows is not supported')
  if (node.input.length === 1) return [gradient]
  const shapes = node.input.map((name) => ({ dtype: DataType.FLOAT, dims: [...append.dims(name)] }))
  const parts = append.graph.nodeOf('Split', [gradient, append.graph.integers(sides)], sides.length, {
    attributes: { axis },
    shapes,
  })
  return parts.map((part, input) => (application.wanted(input) ? part : undefined))
}

const split: Rule = ({ append, node, gradients }) => {
  const x = node.input[0]!
  const axis = positive(intAttribute(node, 'axis', 0), append.dims(x).length)
  const parts = node.output.map((name, i) => gradients[i] ?? zerosLike(append, name))
  return [append.op('Concat', parts, append.dims(x), { axis })]
}

function zerosLike(append: Appender, name: string): string {
  const dims = append.dims(name)
  const shape = append.node('Shape', [name], { dtype: DataType.INT64, dims: [dims.length] })
  return append.op('Expand', [append.scalar(0), shape], dims)
}

/** The rest of x gets zeros. */
const slice: Rule = ({ append, gradient, node }) => {
  const [x, starts, ends, axes, steps] = node.input as [string, ...(string | undefined)[]]
  const dims = append.dims(x)
  const constant = (name: string | undefined) => (name ? append.graph.integersOf(name) : undefined)
  const [first, last] = [constant(starts), constant(ends)]
  if (first === undefined || last === undefined) throw new Error('its bounds are computed')
  const along = axes ? constant(axes) : first.map((_, i) => i)
  if (along === undefined || (steps && constant(steps)?.some((step) => step !== 1)))
    throw new Error('steps other than 1 are not supported')
  const before = dims.map(() => 0)
  const after = dims.map(() => 0)
  along.forEach((raw, i) => {
    const axis = positive(raw, dims.length)
    const side = dims[axis]!
    if (side < 0) {
      // All rows.
      if (first[i] === 0 && last[i]! >= 2 ** 31 - 1) return
      throw new Error('slices of rows are not supported')
    }
    const bound = (value: number) => Math.min(side, Math.max(0, positive(value, side)))
    before[axis] = bound(first[i]!)
    after[axis] = side - bound(last[i]!)
  })
  return [append.op('Pad', [gradient, append.graph.integers([...before, ...after])], dims)]
}

const expand: Rule = ({ append, gradient, node }) => [append.sumTo(gradient, node.input[0]!)]

/** Larger selections are tables, of which a step reads few rows. */
const largestSelection = 1 << 16

/**
 * Rows or columns chosen by constant indexes: the gradient goes back by a product with the matrix that chooses them, so
 * that an element that is chosen twice gets both.
 *
 * Rows by computed indexes: the gradient is added to zeros there. A table's rows are no case of this: its look-up is an
 * input of the graph, and so is its gradient a tensor of rows.
 */
const gather: Rule = ({ append, gradient, node, wanted }) => {
  if (!wanted(0)) return [undefined]
  const [x, indexes] = node.input as [string, string]
  const dims = append.dims(x)
  const axis = positive(intAttribute(node, 'axis', 0), dims.length)
  const side = dims[axis]!
  const chosen = append.graph.integersOf(indexes)
  const isRows = axis === 0 && append.dims(indexes).length === 1 && append.graph.opset >= firstSum
  if (chosen === undefined && isRows) return [scatter(append, x, indexes, gradient)]
  if (chosen === undefined || side < 0)
    throw new Error('a look-up of columns in what is computed is supported by constant indexes alone')
  if (chosen.length * side > largestSelection) throw new Error(`a look-up of ${chosen.length} in ${side} is too large`)

  // [… before, chosen, … after] → the axis last → · [chosen, side] → back.
  const rank = append.graph.dimsOf(indexes)!.length
  const [before, after] = [dims.slice(0, axis), dims.slice(axis + 1)]
  const single = append.op(
    'Reshape',
    [gradient, append.graph.integers([...before.map(keep), chosen.length, ...after.map(keep)])],
    [...before, chosen.length, ...after],
  )
  const source = rank === 1 ? gradient : single
  const matrix = new Float32Array(chosen.length * side)
  chosen.forEach((index, i) => {
    matrix[i * side + positive(index, side)] = 1
  })
  const selection = append.graph.constant('selection', matrix, [chosen.length, side])
  const axes = dims.map((_, i) => i)
  const last = [...axes.slice(0, axis), ...axes.slice(axis + 1), axis]
  const moved = append.transpose(source, last)
  const back = append.op('MatMul', [moved, selection], [...before, ...after, side])
  return [
    append.transpose(
      back,
      last.map((_, i) => last.indexOf(i)),
    ),
  ]
}

/** The operator set from which ScatterND adds. */
const firstSum = 16

/** Zeros of the shape of `x`, with `gradient` added at the rows that `indexes` [n] name. */
function scatter(append: Appender, x: string, indexes: string, gradient: string): string {
  const dims = append.dims(x)
  const shape = append.node('Shape', [x], { dtype: DataType.INT64, dims: [dims.length] })
  const zeros = append.op('Expand', [append.scalar(0), shape], dims)
  const count = append.dims(indexes)[0]!
  const wide = append.node('Cast', [indexes], { dtype: DataType.INT64, dims: [count] }, { to: DataType.INT64 })
  const rows = append.node('Unsqueeze', [wide, append.graph.integers([1])], { dtype: DataType.INT64, dims: [count, 1] })
  return append.op('ScatterND', [zeros, rows, gradient], dims, { reduction: 'add' })
}

/** Rows in place of others have the gradient of the result there; each is replaced once. */
const scatterRows: Rule = ({ append, gradient, node, wanted }) => {
  const [, indexes, updates] = node.input as [string, string, string]
  if (wanted(0)) throw new Error('rows are supported in place of constants alone')
  return [undefined, undefined, append.op('GatherND', [gradient, indexes], append.dims(updates))]
}

/** In a Reshape to a known shape at most one side, the batch's, is open. */
const keep = (side: number): number => (side < 0 ? -1 : side)

const rewritten = absent('canonicalise makes a Reshape of it')

/** Operators of integers, which computed shapes are made of. */
const ofIntegers = (): Operator => ({
  columns: absent('its output is no row'),
  places: absent('its output is no place of a list'),
  gradient: 'constant',
  rows: absent('its output is no row'),
  tensorflow: otherArguments,
})

export const shape: Record<string, Operator> = {
  ArgMax: ofIntegers(),
  ArgMin: ofIntegers(),
  Concat: { columns: joined, places: joinedPlaces, gradient: concat, rows: rows.concat, tensorflow: otherArguments },
  Expand: {
    columns: absent('it repeats columns'),
    places: repeatedPlaces,
    gradient: expand,
    rows: notMet,
    tensorflow: otherArguments,
  },
  Flatten: {
    columns: rewritten,
    places: rewritten,
    gradient: reshape,
    rows: rows.flatten,
    tensorflow: absent('TensorFlow has Reshape'),
  },
  Gather: { columns: picked, places: gatheredPlaces, gradient: gather, rows: rows.gather, tensorflow: otherArguments },
  Reshape: {
    columns: reshaped,
    places: reshapedPlaces,
    gradient: reshape,
    rows: rows.reshape,
    tensorflow: otherArguments,
  },
  ScatterND: {
    columns: unfollowed,
    places: wholeLists,
    gradient: scatterRows,
    rows: notMet,
    tensorflow: composed,
  },
  Shape: ofIntegers(),
  Size: ofIntegers(),
  Slice: { columns: picked, places: dividedPlaces, gradient: slice, rows: rows.slice, tensorflow: otherArguments },
  Split: { columns: picked, places: dividedPlaces, gradient: split, rows: rows.split, tensorflow: otherArguments },
  Squeeze: { columns: rewritten, places: rewritten, gradient: reshape, rows: rewritten, tensorflow: otherArguments },
  Transpose: {
    columns: rewritten,
    places: transposedPlaces,
    gradient: transpose,
    rows: notMet,
    tensorflow: otherArguments,
  },
  Unsqueeze: { columns: rewritten, places: rewritten, gradient: reshape, rows: rewritten, tensorflow: otherArguments },
}

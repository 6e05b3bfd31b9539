import { positive } from '../../base/dims.ts'
import { intAttribute } from '../../graph/attributes.ts'
import type { Rule } from '../rule.ts'

/** Larger selections are tables, of which a step reads few rows. */
const largestSelection = 1 << 16

/**
 * Rows or columns chosen by constant indexes: the gradient goes back by a product with the matrix that chooses them, so that
 * an element that is chosen twice gets both.
 *
 * A table's rows are no case of this: its look-up is an input of the graph, and so is its gradient a tensor of rows.
 */
const gather: Rule = ({ append, gradient, node, wanted }) => {
  if (!wanted(0)) return [undefined]
  const [x, indexes] = node.input as [string, string]
  const dims = append.dims(x)
  const axis = positive(intAttribute(node, 'axis', 0), dims.length)
  const side = dims[axis]!
  const chosen = append.graph.integersOf(indexes)
  if (chosen === undefined || side < 0)
    throw new Error('a look-up in what is computed is supported by constant indexes alone')
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

/** In a Reshape to a known shape at most one side, the batch's, is open. */
const keep = (side: number): number => (side < 0 ? -1 : side)

export const lookUpRules: Record<string, Rule> = { Gather: gather }

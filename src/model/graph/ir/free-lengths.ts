import { dtypeOf, isBatched, sidesOf } from './declared.ts'
import type { Graph } from './graph.ts'
import { declare } from './tensor-shape.ts'

/** The length that inputs [batch, any] get while a graph is examined. */
export const triedLength = 50

/** Gives inputs [batch, any] a fixed length; answers their names. */
export function fixLengths(graph: Graph): Set<string> {
  const fixed = new Set<string>()
  graph.inputs.forEach((input, i) => {
    const { type, name } = input
    const dims = type?.value.case === 'tensorType' ? type.value.value.shape?.dim : undefined
    if (dims?.length !== 2 || !isBatched(input) || sidesOf(graph, input) !== undefined) return
    const shape = { dtype: dtypeOf(input), dims: [-1, triedLength] }
    graph.inputs[i] = declare(name, shape)
    graph.shapes.set(name, shape)
    fixed.add(name)
  })
  return fixed
}

import type { FlatGraph, FlatNode } from './flatten.ts'
import type { Program } from './program.ts'
import { elementTypeOf } from './tensor-data.ts'

/** Operators of which input 1 counts rows of input 0, or elements. */
const lookUps = new Set(['Gather', 'GatherV2', 'GatherNd', 'ResourceGather'])
/** What these answer is not made of their inputs' values. */
const shapes = new Set(['Shape', 'ShapeN', 'Size', 'Rank', 'ZerosLike', 'OnesLike'])

/**
 * Keys of the inputs that become rows of tables, however they are computed with before: of integers those that do so
 * anywhere, of floats (Keras 3 exports ids as such) those that are nothing else. Negative ones are errors to TensorFlow, or
 * count from a table's end, as they do to ONNX; nobody means them.
 */
export function idInputs({ inputs }: Program, flat: FlatGraph): Set<string> {
  const { some, only } = usedAsIds(flat)
  const ids = inputs.filter(({ tensor, type }) => {
    const placeholder = tensor.split(':')[0]!
    return elementTypeOf(type) === 'float32' ? only.has(placeholder) : some.has(placeholder)
  })
  return new Set(ids.map(({ key }) => key))
}

/** Names of nodes that are looked up by, somewhere, and of those that nothing else reads. */
function usedAsIds({ nodes, outputs }: FlatGraph): { some: Set<string>; only: Set<string> } {
  const asIds = new Set<FlatNode>()
  const otherwise = new Set<FlatNode>([...outputs.values()].map(({ node }) => node))
  // What reads a node comes after it.
  for (const node of nodes.toReversed()) {
    if (shapes.has(node.op)) continue
    node.inputs.forEach(({ node: before }, i) => {
      const isIndex = lookUps.has(node.op) && i === 1
      if (isIndex || (asIds.has(node) && !lookUps.has(node.op))) asIds.add(before)
      if (!isIndex && (otherwise.has(node) || !asIds.has(node) || lookUps.has(node.op))) otherwise.add(before)
    })
  }
  const some = [...asIds].map(({ name }) => name)
  const only = [...asIds].filter((node) => !otherwise.has(node)).map(({ name }) => name)
  return { some: new Set(some), only: new Set(only) }
}

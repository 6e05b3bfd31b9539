import type { FlatGraph, FlatNode } from './flatten.ts'
import type { Program } from './program.ts'
import { elementTypeOf } from './tensor-data.ts'

/** Operators whose input 1 indexes rows or elements of input 0. */
const lookUps = new Set(['Gather', 'GatherV2', 'GatherNd', 'ResourceGather'])
/** Operators whose outputs do not depend on the values of their inputs. */
const shapes = new Set(['Shape', 'ShapeN', 'Size', 'Rank', 'ZerosLike', 'OnesLike'])

/**
 * Keys of the inputs that index tables, even after further computation: integers that do so anywhere, and floats (Keras
 * 3 exports ids as float) that do nothing else. Negative ids are errors in TensorFlow, or count from a table's end, as
 * in ONNX; neither is intended.
 */
export function idInputs({ inputs }: Program, flat: FlatGraph): Set<string> {
  const { some, only } = usedAsIds(flat)
  const ids = inputs.filter(({ tensor, type }) => {
    const placeholder = tensor.split(':')[0]!
    return elementTypeOf(type) === 'float32' ? only.has(placeholder) : some.has(placeholder)
  })
  return new Set(ids.map(({ key }) => key))
}

/** Names of nodes that are used as indices, and of those that are used for nothing else. */
function usedAsIds({ nodes, outputs }: FlatGraph): { some: Set<string>; only: Set<string> } {
  const asIds = new Set<FlatNode>()
  const otherwise = new Set<FlatNode>([...outputs.values()].map(({ node }) => node))
  // Users of a node come after it.
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

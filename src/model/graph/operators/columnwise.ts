import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import type { Source } from './columns.ts'
import { present } from './operator.ts'
import { operatorOf } from './table.ts'

/* Tensors of which each column is computed from one column of an input. */

/** Sources of tensors, by name: each tensor is followed once. */
export type Found = Map<string, Source | undefined>

/** Follows a tensor back to one input, as long as its columns are independent. */
export function columnwise(graph: Graph, name: string, found: Found): Source | undefined {
  if (found.has(name)) return found.get(name)
  const source = follow(graph, name, found)
  const settled = source && { ...source, build: once(source.build) }
  found.set(name, settled)
  return settled
}

/** Makes a builder add equal nodes only once per graph. */
function once(build: Source['build']): Source['build'] {
  const names = new WeakMap<Graph, Map<string, string>>()
  return (target, packed, positions) => {
    const known = names.get(target) ?? new Map<string, string>()
    names.set(target, known)
    const key = `${positions.join()} ${packed}`
    const name = known.get(key) ?? build(target, packed, positions)
    known.set(key, name)
    return name
  }
}

function follow(graph: Graph, name: string, found: Found): Source | undefined {
  const dims = graph.shapes.get(name)?.dims
  if (dims === undefined || dims[0] !== -1 || dims.length > 3) return undefined
  const width = product(dims.slice(1))
  if (graph.inputs.some((input) => input.name === name)) {
    if (dims.length > 2) return undefined
    const columns = Array.from({ length: width }, (_, i) => i)
    return { input: name, columns, added: columns.map(() => 0), isInput: true, build: (_, packed) => packed }
  }
  const node = graph.producer(name)
  if (node === undefined) return undefined
  const sourceOf = (input: string) => columnwise(graph, input, found)
  return present(operatorOf(node)?.columns)?.({ graph, node, output: name, dims, width, sourceOf })
}

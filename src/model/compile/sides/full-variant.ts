import { product } from '../../base/dims.ts'
import type { Graph } from '../../graph/graph.ts'
import type { VariantGraph } from './contract.ts'

/** The variant with the saved graph's own inputs. */
export function fullVariant(graph: Graph): VariantGraph {
  const rows = graph.inputs.map(({ name }) => {
    const width = product(graph.shapes.get(name)?.dims.slice(1) ?? [])
    return { name, input: name, columns: Array.from({ length: width }, (_, i) => i) }
  })
  return { graph, context: [], rows, replaced: new Map() }
}

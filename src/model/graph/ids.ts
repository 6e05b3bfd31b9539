import type { Graph } from './graph.ts'
import type { ValueInfoProto } from './onnx_pb.ts'

/*
 * Which inputs of a graph are ids, rows of a table: a mark on the input's type (ONNX' denotation), which stays when a graph
 * is rewritten. ONNX counts negative ids from a table's end; where they are errors, the engine must refuse them itself.
 */

const denotation = 'ID'

/** Says that these inputs must not be negative. */
export function markIds(graph: Graph, names: ReadonlySet<string>): void {
  for (const { name, type } of graph.inputs) if (type !== undefined && names.has(name)) type.denotation = denotation
}

export function isMarked({ type }: ValueInfoProto): boolean {
  return type?.denotation === denotation
}

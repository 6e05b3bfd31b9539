import type { Graph } from './graph.ts'
import type { ValueInfoProto } from './onnx_pb.ts'

/*
 * Marks inputs of a graph that are ids, rows of a table, by ONNX' denotation of their type, which passes keep. ONNX
 * counts negative ids from the end of a table; where they are errors, the engine must refuse them.
 */

const denotation = 'ID'

/** Marks inputs that must not be negative. */
export function markIds(graph: Graph, names: ReadonlySet<string>): void {
  for (const { name, type } of graph.inputs) if (type !== undefined && names.has(name)) type.denotation = denotation
}

export function isMarked({ type }: ValueInfoProto): boolean {
  return type?.denotation === denotation
}

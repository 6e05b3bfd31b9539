import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import type { StoredTensor } from './checkpoint.ts'
import type { TensorData } from './tensor-data.ts'
import type { DataType, FunctionDef, NodeDef } from './tensorflow_pb.ts'

/** An input or output of a signature. */
export interface Argument {
  /** Its name for callers. */
  key: string
  /** Its tensor in the graph, `node` or `node:output`. */
  tensor: string
  type: DataType
  /** −1 for an open dimension, of which the first is the batch; undefined if even the rank is open. */
  shape: number[] | undefined
}

/** One signature of a TensorFlow graph, checked but not interpreted. */
export interface Program {
  /** Path of its file, for messages. */
  file: string
  nodes: Map<string, NodeDef>
  functions: Map<string, FunctionDef>
  inputs: Argument[]
  outputs: Argument[]
  /** The type that int64 is computed in: TensorFlow.js has only int32. */
  int64: 'int64' | 'int32'
  /** The value of a constant that is stored outside the graph. */
  weight(name: string): TensorData | undefined
  /** Location of a variable's value, by its node in the graph. Throws INVALID_BUNDLE if it was not saved. */
  variable(name: string): StoredTensor
  /** Reads and checks a variable's value. */
  readVariable(tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>>
  /** Checks a value without keeping it in memory. */
  verifyVariable(tensor: StoredTensor): Promise<void>
}

/** Maximum nodes: each is visited, and copied in memory, several times. */
export const mostNodes = 100_000

/** Nodes by name. Throws INVALID_BUNDLE for duplicate names, UNSUPPORTED_GRAPH for too many nodes. */
export function nodesByName(nodes: readonly NodeDef[], where: string): Map<string, NodeDef> {
  if (nodes.length > mostNodes) throw unsupportedIn(where, `has ${nodes.length} nodes, more than ${mostNodes}`)
  const byName = new Map<string, NodeDef>()
  for (const node of nodes) {
    if (byName.has(node.name)) throw invalidIn(where, `two nodes are named ${node.name}`)
    byName.set(node.name, node)
  }
  return byName
}

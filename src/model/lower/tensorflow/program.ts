import { ModelError } from '../../base/errors.ts'
import type { StoredTensor } from './checkpoint.ts'
import type { TensorData } from './tensor-data.ts'
import type { DataType, FunctionDef, NodeDef } from './tensorflow_pb.ts'

/** An input or output of a signature. */
export interface Argument {
  /** Its name to callers. */
  key: string
  /** Its tensor in the graph, `node` or `node:output`. */
  tensor: string
  type: DataType
  /** A side that is open is −1, the first of an input is the batch; undefined where even the rank is open. */
  shape: number[] | undefined
}

/** A TensorFlow graph as it is on disk, checked but not interpreted: one signature of it. */
export interface Program {
  /** Path of its file, for messages. */
  file: string
  nodes: Map<string, NodeDef>
  functions: Map<string, FunctionDef>
  inputs: Argument[]
  outputs: Argument[]
  /** TensorFlow.js has no int64: its graphs say so, and compute in int32. */
  int64: 'int64' | 'int32'
  /** The value of a constant that is kept beside the graph. */
  weight(name: string): TensorData | undefined
  /** Where the value of a variable lies, by its node in the graph. Throws INVALID_BUNDLE where it was not saved. */
  variable(name: string): StoredTensor
  /** Reads and checks such a value. */
  readVariable(tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>>
  /** Checks one that stays where it is. */
  verifyVariable(tensor: StoredTensor): Promise<void>
}

/** More nodes are no ranking model: every one is looked at, and kept in memory several times. */
export const mostNodes = 100_000

/** Nodes by name. Throws INVALID_BUNDLE where two have the same, UNSUPPORTED_GRAPH for too many. */
export function nodesByName(nodes: readonly NodeDef[], where: string): Map<string, NodeDef> {
  if (nodes.length > mostNodes)
    throw new ModelError('UNSUPPORTED_GRAPH', `${where}: has ${nodes.length} nodes, more than ${mostNodes}`)
  const byName = new Map<string, NodeDef>()
  for (const node of nodes) {
    if (byName.has(node.name)) throw new ModelError('INVALID_BUNDLE', `${where}: two nodes are named ${node.name}`)
    byName.set(node.name, node)
  }
  return byName
}

import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { createFrames, dataInputs, type Frame, type Frames } from './frames.ts'
import { mostNodes, type Program } from './program.ts'
import type { NodeDef } from './tensorflow_pb.ts'

/** A node of a graph with all function calls inlined. */
export interface FlatNode {
  /** Unique: the calls that lead to it, and its own name. */
  name: string
  /** Its own name. */
  local: string
  op: string
  attr: NodeDef['attr']
  inputs: Tensor[]
}

/** An output of a node. */
export interface Tensor {
  node: FlatNode
  output: number
}

export interface FlatGraph {
  /** Nodes that the outputs need, in an order of computation. */
  nodes: FlatNode[]
  /** By the signature's keys. */
  outputs: Map<string, Tensor>
}

/**
 * The nodes that a program's outputs need, with all function calls inlined.
 *
 * Throws INVALID_BUNDLE for cycles and missing nodes, UNSUPPORTED_GRAPH for too many nodes.
 */
export function flatten(program: Program, frames: Frames = createFrames(program)): FlatGraph {
  const { file } = program
  const nodes: FlatNode[] = []
  const known = new Map<Frame, Map<string, FlatNode>>()
  const done = new Set<FlatNode>()
  // Not recursive: graphs may be deep.
  const stack: { flat: FlatNode; frame: Frame; inputs: string[] }[] = []
  let entered = 0

  function enter(frame: Frame, input: string): Tensor {
    const place = frames.resolve(frame, input)
    const { node, output } = place
    const ofFrame = known.get(place.frame) ?? new Map<string, FlatNode>()
    known.set(place.frame, ofFrame)
    const seen = ofFrame.get(node.name)
    if (seen !== undefined) {
      if (!done.has(seen)) throw invalidIn(file, `the node ${seen.name} depends on itself`)
      return { node: seen, output }
    }
    if (entered++ >= mostNodes)
      throw unsupportedIn(file, `has more than ${mostNodes} nodes with its functions in place`)
    const flat: FlatNode = {
      name: place.frame.path + node.name,
      local: node.name,
      op: node.op,
      attr: node.attr,
      inputs: [],
    }
    ofFrame.set(node.name, flat)
    stack.push({ flat, frame: place.frame, inputs: dataInputs(node) })
    return { node: flat, output }
  }

  const outputs = new Map<string, Tensor>()
  for (const { key, tensor } of program.outputs) {
    outputs.set(key, enter(frames.main, tensor))
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.inputs[top.flat.inputs.length]
      if (next !== undefined) top.flat.inputs.push(enter(top.frame, next))
      else {
        stack.pop()
        done.add(top.flat)
        nodes.push(top.flat)
      }
    }
  }
  return { nodes, outputs }
}

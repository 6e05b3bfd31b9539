import { create } from '@bufbuild/protobuf'
import type { Graph } from '../graph/graph.ts'
import { NodeIndex } from '../graph/node-index.ts'
import { TensorProto_DataType as DataType, type NodeProto, ValueInfoProtoSchema } from '../graph/onnx_pb.ts'
import { declare, type TensorShape } from '../graph/tensor-shape.ts'
import type { Each } from './program.ts'

/*
 * A graph with nodes that are not translated, such as the attention of a user tower: they, and all that they need, are its leading part,
 * which ONNX Runtime computes. What follows is a graph of its own.
 */

/** The sides of a graph's inputs: those with a row for each request, and the one that holds the request of each row. */
export interface InputSides {
  context: ReadonlySet<string>
  requests: string
}

export interface Cut {
  /** An ONNX model, and the inputs that it reads. Its outputs are inputs of `rest`. */
  leading: { model: Uint8Array; inputs: readonly string[]; outputs: readonly string[] }
  rest: Graph
  /** Inputs of `rest` with a row for each request. */
  context: ReadonlySet<string>
}

const readable = new Set<number>([DataType.FLOAT, DataType.INT32, DataType.INT64, DataType.UINT8])

/** What a tensor has a row for, if a program can read it. `graph`: with the shapes of its tensors. */
export function readableRows(
  graph: Graph,
  name: string,
  { context, requests }: InputSides,
  index = new NodeIndex(graph.nodes),
): { each: Each; shape: TensorShape } | undefined {
  const shape = graph.shapes.get(name)
  const [first, ...dims] = shape?.dims ?? []
  if (shape === undefined || first !== -1 || dims.some((side) => side < 0) || !readable.has(shape.dtype))
    return undefined
  const read = new Set([name, ...index.inOrder([name]).flatMap(({ input }) => input)])
  const inputs = graph.inputs.filter((input) => read.has(input.name)).map((input) => input.name)
  if (inputs.every((input) => context.has(input))) return { each: 'requests', shape }
  // Rows that are spread from requests are a single one where there is one request.
  if (inputs.every((input) => context.has(input) || input === requests)) return undefined
  return { each: 'rows', shape }
}

/** Cuts a graph, with the shapes of its tensors, behind these nodes. Undefined where a program can't read what they compute. */
export function cutBehind(graph: Graph, nodes: ReadonlySet<NodeProto>, sides: InputSides): Cut | undefined {
  const index = new NodeIndex(graph.nodes)
  const leading = new Set(index.inOrder([...nodes].flatMap(({ output }) => output)))
  // Rows of requests are spread behind the cut.
  const isSpread = ({ opType, input }: NodeProto) => opType === 'Gather' && input[1] === sides.requests
  const follows = (node: NodeProto) => !leading.has(node) || (isSpread(node) && !nodes.has(node))
  const rest = graph.copy()
  rest.nodes = rest.nodes.filter((_, i) => follows(graph.nodes[i]!))
  rest.touch()
  rest.tidy()
  const read = new Set([...rest.nodes.flatMap(({ input }) => input), ...rest.outputs.map(({ name }) => name)])
  const outputs = [...leading].flatMap((node) => (follows(node) ? [] : node.output.filter((name) => read.has(name))))
  const context = new Set(sides.context)
  for (const name of outputs) {
    const found = readableRows(graph, name, sides, index)
    if (found === undefined) {
      const users = index.users(name).filter(follows)
      return graph.isOutput(name) || users.length === 0
        ? undefined
        : cutBehind(graph, new Set([...nodes, ...users]), sides)
    }
    if (found.each === 'requests') context.add(name)
    rest.inputs.push(declare(name, found.shape))
  }
  const head = graph.copy()
  head.outputs.splice(0, Number.POSITIVE_INFINITY, ...outputs.map((name) => create(ValueInfoProtoSchema, { name })))
  head.tidy()
  // ONNX Runtime would ask for the others too.
  const inputs = head.inputs.filter(({ name }) => head.users(name).length > 0)
  head.inputs.splice(0, Number.POSITIVE_INFINITY, ...inputs)
  return { leading: { model: head.toBytes(), inputs: inputs.map(({ name }) => name), outputs }, rest, context }
}

import { create } from '@bufbuild/protobuf'
import type { Graph } from '../ir/graph.ts'
import { NodeIndex } from '../ir/node-index.ts'
import { TensorProto_DataType as DataType, type NodeProto, ValueInfoProtoSchema } from '../ir/onnx_pb.ts'
import { isOfSizes } from '../ir/reshape.ts'
import { declare, type TensorShape } from '../ir/tensor-shape.ts'
import type { Each } from '../rows/program.ts'

/*
 * A graph with nodes that are not translated, such as the attention of a user tower: they, and all that they need, are
 * its leading part, which ONNX Runtime computes. The nodes that follow are a graph of their own.
 */

/** The sides of a graph's inputs: those with a row for each request, and the one that holds the request of each row. */
export interface InputSides {
  context: ReadonlySet<string>
  requests: string
  /** Inputs that say the lengths of lists. */
  lengths?: ReadonlySet<string>
  /** Inputs that a program can't read. */
  unreadable?: ReadonlySet<string>
}

export interface Cut {
  /** An ONNX model, and the inputs that it reads. Its outputs are inputs of `rest`. */
  leading: { model: Uint8Array; inputs: readonly string[]; outputs: readonly string[] }
  rest: Graph
  /** Inputs of `rest` with a row for each request. */
  context: ReadonlySet<string>
}

/** Types that a program reads: it has no integers of 64 bits. */
const kinds: Record<number, 'float32' | 'int32' | 'uint8'> = {
  [DataType.FLOAT]: 'float32',
  [DataType.INT32]: 'int32',
  [DataType.UINT8]: 'uint8',
}

/** A tensor that a program can read, and what it has a row for. */
interface ReadableTensor {
  each: Each
  kind: (typeof kinds)[number]
  shape: TensorShape
}

/** Which tensors of a graph, whose shapes are known, a program can read. */
export class ReadableTensors {
  readonly #shapes: ReadonlyMap<string, TensorShape>
  /** The sides that each tensor depends on. */
  readonly #sides = new Map<string, { rows: boolean; requests: boolean }>()
  /** Tensors in which the rows of a request are those of one matrix: their first side is not the number of rows. */
  readonly #gathered = new Set<string>()

  constructor({ inputs, nodes, shapes }: Graph, { context, requests, lengths }: InputSides) {
    this.#shapes = shapes
    for (const { name } of inputs)
      this.#sides.set(name, {
        rows: !context.has(name) && name !== requests && !lengths?.has(name),
        requests: name === requests,
      })
    // A tidy graph has its nodes in an order of computation.
    for (const { opType, input, output } of nodes) {
      const isBack = opType === 'Reshape' && !isOfSizes(input[1]!)
      const gathers = opType === 'Reshape' && isOfSizes(input[1]!)
      if (gathers || (!isBack && input.some((name) => this.#gathered.has(name))))
        for (const name of output) this.#gathered.add(name)
      const read = input.flatMap((name) => this.#sides.get(name) ?? [])
      const sides = { rows: read.some(({ rows }) => rows), requests: read.some(({ requests }) => requests) }
      for (const name of output) this.#sides.set(name, sides)
    }
  }

  /** Whether a tensor depends on inputs with a row for each row, and on the one that holds the request of each. */
  sidesOf(name: string): { rows: boolean; requests: boolean } | undefined {
    return this.#sides.get(name)
  }

  get(name: string): ReadableTensor | undefined {
    const shape = this.#shapes.get(name)
    const kind = shape && kinds[shape.dtype]
    const [first, ...dims] = shape?.dims ?? []
    if (kind === undefined || first !== -1 || dims.some((side) => side < 0) || this.#gathered.has(name))
      return undefined
    const { rows, requests } = this.#sides.get(name)!
    // Rows that are spread from requests are a single one where there is one request.
    if (!rows && requests) return undefined
    return { each: rows ? 'rows' : 'requests', kind, shape: shape! }
  }
}

/**
 * Cuts a tidy graph, with the shapes of its tensors, behind these nodes. Undefined where a program can't read what they
 * compute.
 */
export function cutBehind(graph: Graph, nodes: ReadonlySet<NodeProto>, sides: InputSides): Cut | undefined {
  const index = new NodeIndex(graph.nodes)
  const tensors = new ReadableTensors(graph, sides)
  // Rows of requests are spread behind the cut.
  const isSpread = ({ opType, input }: NodeProto) => opType === 'Gather' && input[1] === sides.requests
  const last = new Set(nodes)
  for (;;) {
    const leading = new Set(index.inOrder([...last].flatMap(({ output }) => output)))
    const isLed = (node: NodeProto) => leading.has(node) && (!isSpread(node) || last.has(node))
    const isRead = (name: string) => graph.isOutput(name) || index.users(name).some((user) => !leading.has(user))
    const isFollowing = (node: NodeProto) => !isLed(node) && (!leading.has(node) || node.output.some(isRead))
    const outputs = [...leading].flatMap((node) =>
      isLed(node) ? node.output.filter((name) => graph.isOutput(name) || index.users(name).some(isFollowing)) : [],
    )
    const unreadable = outputs.filter((name) => tensors.get(name) === undefined)
    if (unreadable.some((name) => graph.isOutput(name))) return undefined
    if (unreadable.length === 0) return cutAt(graph, isFollowing, outputs, tensors, sides)
    for (const name of unreadable) for (const user of index.users(name)) if (isFollowing(user)) last.add(user)
  }
}

function cutAt(
  graph: Graph,
  isFollowing: (node: NodeProto) => boolean,
  outputs: readonly string[],
  tensors: ReadableTensors,
  sides: InputSides,
): Cut {
  const rest = graph.copy()
  rest.nodes = rest.nodes.filter((_, i) => isFollowing(graph.nodes[i]!))
  const context = new Set(sides.context)
  for (const name of outputs) {
    const { each, shape } = tensors.get(name)!
    if (each === 'requests') context.add(name)
    rest.inputs.push(declare(name, shape))
  }
  rest.touch()
  rest.tidy()
  const head = partFor(graph, outputs)
  return { leading: { model: head.toBytes(), inputs: head.inputs.map(({ name }) => name), outputs }, rest, context }
}

/** The part of a graph that computes these tensors. */
export function partFor(graph: Graph, outputs: readonly string[]): Graph {
  const part = graph.copy()
  part.outputs.splice(0, Number.POSITIVE_INFINITY, ...outputs.map((name) => create(ValueInfoProtoSchema, { name })))
  part.tidy()
  dropUnread(part)
  return part
}

/** Drops inputs that no node reads: ONNX Runtime would ask for them. */
export function dropUnread(graph: Graph): void {
  const read = graph.inputs.filter(({ name }) => graph.users(name).length > 0)
  graph.inputs.splice(0, Number.POSITIVE_INFINITY, ...read)
}

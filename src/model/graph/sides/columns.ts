import { positive, product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import type { Source } from '../operators/columns.ts'
import { columnwise, type Found } from '../operators/columnwise.ts'

/*
 * The origin of a tensor's columns: the columns of the graph's inputs that they depend on, and how they are computed.
 */

/**
 * Consecutive columns of a tensor [batch, n] that are computed from columns of one input, each independently: input
 * column i yields `dim` columns, either a row of an embedding table or (`table` undefined, `dim` 1) a function of its
 * value.
 */
export interface Segment extends Omit<Source, 'isInput'> {
  /** Name of the constant [ids, dim]. */
  table: string | undefined
  dim: number
  /** As in `Source`; if there is a table, the ids of the columns. */
  build: Source['build']
}

/** The segments that a tensor [batch, n] is a concatenation of; undefined if it is computed in any other way. */
export function segmentsOf(graph: Graph, name: string): Segment[] | undefined {
  return graph.shapes.get(name)?.dims.length === 2 ? sideBySide(graph, name, new Map(), new Map()) : undefined
}

/** The segments of a tensor's columns, or undefined, as `segmentsOf` finds them; [batch, …] counts as [batch, n]. */
export type FeatureFinder = (name: string) => Segment[] | undefined

/** Finds the features among a graph's tensors; the graph must not change meanwhile. */
export function featureFinder(graph: Graph): FeatureFinder {
  const found: Found = new Map()
  const concatenated: Concatenated = new Map()
  const known = new Map<string, Segment[] | undefined>()
  return (name) => {
    const empty = graph.shapes
      .get(name)
      ?.dims.slice(1)
      .some((side) => side < 1)
    if (!known.has(name)) known.set(name, empty ? undefined : sideBySide(graph, name, found, concatenated))
    return known.get(name)
  }
}

/** The segment of a Gather of table rows, `width` columns in all. */
function lookUp(graph: Graph, gather: NodeProto, width: number, found: Found): Segment | undefined {
  const [table, ids] = gather.input as [string, string]
  const dims = graph.dimsOf(table)
  if (dims?.length !== 2 || graph.constants.get(table)?.dataType !== DataType.FLOAT) return undefined
  const source = columnwise(graph, ids, found)
  if (source === undefined || source.columns.length * dims[1]! !== width) return undefined
  return { ...source, table, dim: dims[1]! }
}

/** The look-ups of a graph: its tables, and the columns of inputs whose values are, or become, their ids. */
export function lookUpsOf(graph: Graph): Segment[] {
  const found: Found = new Map()
  return graph.nodes.flatMap((node) => {
    const dims = graph.shapes.get(node.output[0]!)?.dims
    // Tables have two dimensions.
    if (dims === undefined || node.opType !== 'Gather' || positive(intAttribute(node, 'axis', 0), 2) !== 0) return []
    return lookUp(graph, node, product(dims.slice(1)), found) ?? []
  })
}

/**
 * The node because of which a tensor has no segments: it computes its columns from several, or in a way that isn't
 * followed.
 */
export function mixingNode(graph: Graph, name: string): NodeProto | undefined {
  const finder = featureFinder(graph)
  for (let at = name; ; ) {
    const node = graph.producer(at)
    const lost = node?.input.find((input) => graph.shapes.get(input)?.dims[0] === -1 && finder(input) === undefined)
    if (node === undefined || lost === undefined) return node
    at = lost
  }
}

/** Maximum segments: more cannot be features. */
const mostSegments = 10_000

/** The segments of each Concat that was followed. */
type Concatenated = Map<string, Segment[] | undefined>

function sideBySide(graph: Graph, name: string, found: Found, concatenated: Concatenated): Segment[] | undefined {
  const dims = graph.shapes.get(name)?.dims
  if (dims === undefined || dims[0] !== -1) return undefined
  const node = graph.producer(name)
  if (dims.length === 2 && node?.opType === 'Concat' && intAttribute(node, 'axis', 0) === 1) {
    if (concatenated.has(name)) return concatenated.get(name)
    const parts = node.input.map((part) => sideBySide(graph, part, found, concatenated))
    const count = parts.reduce((sum, part) => sum + (part?.length ?? mostSegments), 0)
    const segments = count < mostSegments ? parts.flatMap((part) => part ?? []) : undefined
    concatenated.set(name, segments)
    return segments
  }
  const gather = node?.opType === 'Reshape' ? graph.producer(node.input[0]!) : node
  const width = product(dims.slice(1))
  if (gather?.opType === 'Gather' && intAttribute(gather, 'axis', 0) === 0) {
    const looked = lookUp(graph, gather, width, found)
    return looked && [looked]
  }
  const source = columnwise(graph, name, found)
  return source?.columns.length === width ? [{ ...source, table: undefined, dim: 1 }] : undefined
}

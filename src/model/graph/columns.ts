import { clone } from '@bufbuild/protobuf'
import { positive, product } from '../base/dims.ts'
import { intAttribute } from './attributes.ts'
import { isExternal } from './constants.ts'
import type { Graph } from './graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, NodeProtoSchema } from './onnx_pb.ts'
import { pickedColumns } from './picked-columns.ts'

/*
 * The origin of a tensor's columns: the columns of the graph's inputs that they depend on, and how they are computed.
 */

/**
 * Consecutive columns of a tensor [batch, n] that are computed from columns of one input, each independently: input column i
 * yields `dim` columns, either a row of an embedding table or (`table` undefined, `dim` 1) a function of its value.
 */
export interface Segment {
  input: string
  /** Columns of the input, in the order of the tensor. */
  columns: number[]
  /** Name of the constant [ids, dim]. */
  table: string | undefined
  dim: number
  /** Per column what is added to the input's value, a whole number ≥ 0; undefined where it is computed in any other way. */
  added: number[] | undefined
  /**
   * Adds nodes to `target` that compute the values (or ids, if there is a table) of the columns at `positions` in `columns` from
   * `packed`, these columns of the input. Returns their tensor, [batch, positions].
   */
  build(target: Graph, packed: string, positions: number[]): string
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

type Source = Pick<Segment, 'input' | 'columns' | 'added' | 'build'>

const unary = new Set(['Cast', 'Neg', 'Abs', 'Log', 'Exp', 'Sqrt', 'Relu', 'Sigmoid', 'Tanh', 'Not', 'Floor', 'Ceil'])
const binary = new Set(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Less', 'Greater', 'Equal', 'And', 'Or', 'Where'])

/** Sources of tensors, by name: each tensor is followed once. */
type Found = Map<string, Source | undefined>

/** Follows a tensor back to one input, as long as its columns are independent. */
function columnwise(graph: Graph, name: string, found: Found): Source | undefined {
  if (found.has(name)) return found.get(name)
  const source = follow(graph, name, found)
  const settled = source && { ...source, build: once(source.build) }
  found.set(name, settled)
  return settled
}

/** Makes a builder add equal nodes only once per graph. */
function once(build: Segment['build']): Segment['build'] {
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
    return { input: name, columns, added: columns.map(() => 0), build: (_, packed) => packed }
  }
  const node = graph.producer(name)
  if (node === undefined || node.domain !== '') return undefined
  if (node.opType === 'Reshape') {
    const source = columnwise(graph, node.input[0]!, found)
    // [batch] ↔ [batch, 1]: rebuilt columns are always [batch, n].
    return source?.columns.length === width ? source : undefined
  }
  const picked = pickedColumns(graph, node, name)
  if (
    picked !== undefined &&
    graph.shapes
      .get(node.input[0]!)!
      .dims.slice(2)
      .every((side) => side === 1)
  ) {
    const source = columnwise(graph, node.input[0]!, found)
    if (source === undefined || picked.some((i) => i < 0 || i >= source.columns.length)) return undefined
    return {
      input: source.input,
      columns: picked.map((i) => source.columns[i]!),
      added: source.added && picked.map((i) => source.added![i]!),
      build: (target, packed, positions) =>
        source.build(
          target,
          packed,
          positions.map((i) => picked[i]!),
        ),
    }
  }
  if (unary.has(node.opType) || binary.has(node.opType)) return elementwise(graph, node, width, found)
  return undefined
}

function elementwise(graph: Graph, node: NodeProto, width: number, found: Found): Source | undefined {
  const operands = node.input.map((operand): Operand | undefined =>
    graph.constants.has(operand) ? constantOperand(graph, operand, width) : sourceOperand(graph, operand, found),
  )
  if (!operands.every((operand) => operand !== undefined)) return undefined
  const sources = operands.flatMap(({ source }) => (source === undefined ? [] : [source]))
  const [first] = sources
  if (first === undefined) return undefined
  const same = sources.every(
    ({ input, columns }) =>
      input === first.input && columns.join() === first.columns.join() && columns.length === width,
  )
  if (!same) return undefined
  return {
    input: first.input,
    columns: first.columns,
    added: addedBy(graph, node, found),
    build(target, packed, positions) {
      const copy = clone(NodeProtoSchema, node)
      copy.input = operands.map((operand) => operand.build(target, packed, positions))
      // Operands are often shared, e.g. x < 0 ? x + n : x; equal nodes are built once.
      const key = JSON.stringify([copy.opType, copy.input, copy.attribute.map(({ name, i, f }) => [name, `${i}`, f])])
      const known = built(target).get(key)
      if (known !== undefined) return known
      const output = target.fresh(node.output[0]!)
      copy.output = [output]
      copy.name = output
      target.nodes.push(copy)
      target.touch()
      built(target).set(key, output)
      return output
    },
  }
}

/** What an element-wise node adds to the values of its input, as `Segment.added`. */
function addedBy(graph: Graph, node: NodeProto, found: Found): number[] | undefined {
  const [first, second, third] = node.input
  switch (node.opType) {
    case 'Cast':
      return intAttribute(node, 'to', 0) === DataType.BOOL ? undefined : columnwise(graph, first!, found)?.added
    case 'Add': {
      const [value, constant] = graph.constants.has(first!) ? [second!, first!] : [first!, second!]
      const offsets = graph.integersOf(constant)
      if (offsets?.every((offset) => offset >= 0) !== true) return undefined
      const known = columnwise(graph, value, found)?.added
      return known?.map((sum, i) => sum + offsets[offsets.length === 1 ? 0 : i]!)
    }
    case 'Where': {
      // x < 0 ? x + rows : x, as Keras counts negative ids from a table's end.
      const [less, sum] = [graph.producer(first!), graph.producer(second!)]
      const counts =
        less?.opType === 'Less' &&
        sum?.opType === 'Add' &&
        less.input[0] === third &&
        graph.integersOf(less.input[1]!)?.every((bound) => bound === 0) === true &&
        sum.input.includes(third!)
      return counts ? columnwise(graph, third!, found)?.added : undefined
    }
    default:
      return undefined
  }
}

/** An operand of an element-wise node: a constant, or columns of the same input. */
interface Operand {
  source?: Source
  build: Segment['build']
}

function sourceOperand(graph: Graph, name: string, found: Found): Operand | undefined {
  const source = columnwise(graph, name, found)
  return source && { source, build: source.build }
}

const builtNodes = new WeakMap<Graph, Map<string, string>>()

function built(graph: Graph): Map<string, string> {
  const known = builtNodes.get(graph) ?? new Map<string, string>()
  builtNodes.set(graph, known)
  return known
}

/** A constant of one value for all columns, or one value per column. */
function constantOperand(graph: Graph, name: string, width: number): Operand | undefined {
  const tensor = graph.constants.get(name)!
  const dims = tensor.dims.map(Number)
  const size = product(dims)
  if (isExternal(tensor)) return undefined
  if (size === 1 && dims.length <= 2) {
    return {
      build(target) {
        target.constants.set(name, tensor)
        return name
      },
    }
  }
  const floats = graph.floats(name)
  const integers = graph.integersOf(name)
  if (size !== width || dims.at(-1) !== width || (floats === undefined && integers === undefined)) return undefined
  return {
    build(target, _, positions) {
      const key = JSON.stringify([name, positions])
      const known = built(target).get(key)
      if (known !== undefined) return known
      const pick = (values: ArrayLike<number>) => positions.map((i) => values[i]!)
      const data =
        floats !== undefined
          ? Float32Array.from(pick(floats))
          : tensor.dataType === DataType.INT64
            ? BigInt64Array.from(pick(integers!), BigInt)
            : Int32Array.from(pick(integers!))
      const picked = target.constant(`${name}/columns`, data, [positions.length])
      built(target).set(key, picked)
      return picked
    },
  }
}

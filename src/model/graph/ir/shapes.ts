import { create } from '@bufbuild/protobuf'
import type ort from 'onnxruntime-node'
import { positive, product } from '../../../base/arrays.ts'
import { onnxruntime, withExternalData } from '../../../base/onnxruntime.ts'
import { intAttribute, intsAttribute } from './attributes.ts'
import { isExternal } from './constants.ts'
import type { Graph } from './graph.ts'
import {
  TensorProto_DataType as DataType,
  type NodeProto,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from './onnx_pb.ts'
import { elementSize } from './tensor-shape.ts'

/** Two batch sizes that no other dimension is likely to equal; neither divides the other. */
const batches = [13, 17] as const

const largeTable = 1 << 20

/** Wider inputs cannot be features, and running the graph on them would take gigabytes. */
const largestInput = 100_000

/** The elements of inputs of int64 that are not 0. */
export type TracedNumbers = Readonly<Record<string, number>>

/**
 * Determines the shape of every tensor by running the graph on zeros at two batch sizes: a dimension that grows with
 * the batch is a multiple of it, any other is fixed. This works for every operator that ONNX Runtime supports.
 *
 * Fills `graph.shapes`. Rejects with ONNX Runtime's error if it cannot run the graph. `single`: inputs that have one
 * row at every batch size.
 */
export async function traceShapes(
  graph: Graph,
  numbers: TracedNumbers = {},
  single: ReadonlySet<string> = new Set(),
): Promise<void> {
  const { session, names } = await openTraced(graph)
  try {
    const large = largeTensor(session)
    if (large !== undefined) throw new Error(large)
    const run = (batch: number) => runOn(session, numbers, (input) => (single.has(input) ? 1 : batch))
    const [first, second] = [await run(batches[0]), await run(batches[1])]
    for (const name of names) {
      const [a, b] = [first[name]!, second[name]!]
      const dims = sidesOf(a.dims, b.dims)
      if (dims === undefined) continue
      graph.shapes.set(name, { dtype: dtypes[a.type as keyof typeof dtypes] ?? 0, dims })
    }
    for (const { name } of graph.inputs) {
      const metadata = session.inputMetadata.find((input) => input.name === name)
      if (!metadata?.isTensor) continue
      const dims = metadata.shape.map((side) => (typeof side === 'number' ? side : -1))
      graph.shapes.set(name, { dtype: dtypes[metadata.type as keyof typeof dtypes] ?? 0, dims })
    }
  } finally {
    await session.release()
  }
}

/**
 * Describes a tensor that is too large for a ranking model, if there is one: a file of a few kilobytes can require all
 * memory. Uses ONNX Runtime's shape inference, before anything is computed; undefined if shapes cannot be inferred.
 */
export async function tooLarge(graph: Graph): Promise<string | undefined> {
  let opened: Awaited<ReturnType<typeof openTraced>>
  try {
    opened = await openTraced(graph)
  } catch (error) {
    // ONNX Runtime does not load a graph with a larger dimension.
    return /Invalid dimension/.test(String(error)) ? 'a tensor has a dimension of more than 2^31' : undefined
  }
  try {
    return largeTensor(opened.session)
  } finally {
    await opened.session.release()
  }
}

/** A session that outputs every tensor of a graph; large tables are replaced by small ones. */
async function openTraced(graph: Graph): Promise<{ session: ort.InferenceSession; names: Set<string> }> {
  graph.tidy()
  const traced = graph.copy()
  shrinkTables(traced)
  // ONNX Runtime can't train; the shapes are the same.
  for (const node of traced.nodes)
    if (node.opType === 'BatchNormalization')
      node.attribute = node.attribute.filter(({ name }) => name !== 'training_mode')
  const names = new Set(traced.nodes.flatMap(({ output }) => output.filter((name) => name !== '')))
  traced.outputs.splice(0, Infinity, ...[...names].map((name) => create(ValueInfoProtoSchema, { name })))
  const options = { graphOptimizationLevel: 'disabled', logSeverityLevel: 4, intraOpNumThreads: 1 } as const
  // Tables whose columns are looked up are still in their files.
  const session = await onnxruntime.InferenceSession.create(traced.toBytes(), withExternalData(options, graph.folder))
  return { session, names }
}

/**
 * Maximum elements of a tensor, per row or (without rows) in all: 2 GiB of float32, for a batch of 512 rows or alone.
 */
const largest = { row: 2 ** 20, fixed: 2 ** 29 }

function largeTensor({ outputMetadata }: ort.InferenceSession): string | undefined {
  for (const output of outputMetadata) {
    if (!output.isTensor) continue
    const sides = output.shape.filter((side) => typeof side === 'number')
    const elements = product(sides)
    const [most, where] = output.shape.length > sides.length ? [largest.row, ' per row'] : [largest.fixed, '']
    if (elements > most) return `the tensor ${output.name} has ${elements} elements${where}, more than ${most}`
  }
  return undefined
}

const dtypes = {
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
}

/** Arrays of zeros for inputs. */
const zeros = {
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
}

async function runOn(
  session: ort.InferenceSession,
  numbers: TracedNumbers,
  batchOf: (input: string) => number,
): Promise<ort.InferenceSession.OnnxValueMapType> {
  const feeds: Record<string, ort.Tensor> = {}
  for (const input of session.inputMetadata) {
    if (!input.isTensor) throw new Error(`the input ${input.name} is not a tensor`)
    const batch = batchOf(input.name)
    const dims = input.shape.map((side) => (typeof side === 'number' ? side : batch))
    const size = product(dims)
    if (size > largestInput * batch)
      throw new Error(`the input ${input.name} is ${size / batch} wide, more than ${largestInput}`)
    if (!Object.hasOwn(zeros, input.type)) throw new Error(`the input ${input.name} is ${input.type}`)
    const type = input.type as keyof typeof zeros
    const values = new zeros[type](size)
    const number = numbers[input.name]
    if (number !== undefined && values instanceof BigInt64Array) values.fill(BigInt(number))
    feeds[input.name] = new onnxruntime.Tensor(type, values as never, dims)
  }
  return await session.run(feeds, { logSeverityLevel: 4 })
}

/** Combines two observations: equal dimensions are fixed, those in proportion to the batch are multiples of it. */
function sidesOf(a: readonly number[], b: readonly number[]): number[] | undefined {
  if (a.length !== b.length) return undefined
  const sides: number[] = []
  for (let i = 0; i < a.length; i++) {
    const factor = a[i]! / batches[0]
    if (a[i] === b[i]) sides.push(a[i]!)
    else if (Number.isInteger(factor) && factor > 0 && b[i] === factor * batches[1]) sides.push(-factor)
    else return undefined
  }
  return sides
}

/** Replaces large tables by small ones, of which every id reads the first row: only shapes matter. */
function shrinkTables(graph: Graph): void {
  for (const node of [...graph.nodes]) {
    const table = graph.constants.get(node.input[0] ?? '')
    if (node.opType !== 'Gather' || intAttribute(node, 'axis', 0) !== 0 || table === undefined) continue
    const dims = table.dims.map(Number)
    if (!isExternal(table) && product(dims) < largeTable) continue
    const small = create(TensorProtoSchema, {
      name: graph.fresh('table'),
      dataType: table.dataType,
      dims: [1n, ...table.dims.slice(1)],
      rawData: new Uint8Array(product(dims.slice(1)) * elementSize(table.dataType)),
    })
    graph.constants.set(small.name, small)
    // x − x, whatever the ids' type.
    const zero = create(NodeProtoSchema, {
      opType: 'Sub',
      input: [node.input[1]!, node.input[1]!],
      output: [graph.fresh('zero')],
    })
    graph.nodes.push(zero)
    node.input = [small.name, zero.output[0]!]
  }
  graph.touch()
  graph.tidy()
}

/* Shapes of tensors whose first dimension, the rows, is left out of `dims`; axes count it. */

/** Dimensions after a Reshape to `target`; undefined where rows would not stay rows. */
export function reshapedDims(dims: readonly number[], [first, ...rest]: readonly number[]): number[] | undefined {
  const size = product(dims)
  const known = rest.map((side, i) => (side === 0 ? (dims[i] ?? 0) : side))
  const result = known.map((side) => (side === -1 ? size / -product(known) : side))
  return (first === -1 || first === 0) && product(result) === size ? result : undefined
}

/** The range of one axis that a Slice in steps of 1 takes; undefined for another. `integers`: values of a constant. */
export function slicedRange(
  dims: readonly number[],
  { input }: NodeProto,
  integers: (name: string) => number[],
): { axis: number; start: number; count: number } | undefined {
  const [starts, ends, axes = [0], steps = [1]] = input.slice(1).map(integers)
  if (starts?.length !== 1 || ends?.length !== 1 || axes.length !== 1 || steps[0] !== 1) return undefined
  const [axis] = axes as [number]
  const side = dims[positive(axis, dims.length + 1) - 1] ?? 0
  const bound = (value: number) => Math.min(side, Math.max(0, value < 0 ? value + side : value))
  const [start, end] = [bound(starts[0]!), bound(ends[0]!)]
  return { axis, start, count: Math.max(0, end - start) }
}

/** The sizes of a Split's parts along an axis of `side`; undefined where they are unknown or do not add up. */
export function splitSizes(node: NodeProto, side: number | undefined, integers: (name: string) => number[]) {
  const sizes = node.input[1] ? integers(node.input[1]) : intsAttribute(node, 'split')
  const fits = sizes?.length === node.output.length && sizes.reduce((a, b) => a + b, 0) === side
  return fits ? sizes : undefined
}

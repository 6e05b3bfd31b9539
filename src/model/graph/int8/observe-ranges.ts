import { create } from '@bufbuild/protobuf'
import type ort from 'onnxruntime-node'
import { onnxruntime, tensorOf, withExternalData } from '../../../base/onnxruntime.ts'
import { type ListLength, lengthTensor } from '../../contracts/list-length.ts'
import type { Graph } from '../ir/graph.ts'
import { ValueInfoProtoSchema } from '../ir/onnx_pb.ts'
import type { Segment } from '../sides/columns.ts'
import type { CutGraph } from '../sides/split-graphs.ts'
import { firstLayers, regionalLayers } from '../sides/split-sides.ts'
import { hiddenLayers, type Maxima } from './equalise.ts'
import { mixedProducts } from './mixed-products.ts'
import { type Range, rangeKey } from './quantise-layers.ts'

/** Rows of a graph's inputs, by input, row-major; ids as int32 or, if the graph takes them so, float32. */
export interface InputRows {
  rows: number
  inputs: Record<string, Int32Array | Float32Array>
}

/** Rows per call, which bounds the memory of intermediate results. */
const chunk = 256

/** A session on one thread, as in workers; external data of a graph in memory is in `folder`. */
export function openSession(graph: Uint8Array | string, folder?: string): Promise<ort.InferenceSession> {
  const own: ort.InferenceSession.SessionOptions = {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }
  const options = folder === undefined ? own : withExternalData(own, folder)
  return typeof graph === 'string'
    ? onnxruntime.InferenceSession.create(graph, options)
    : onnxruntime.InferenceSession.create(graph, options)
}

/**
 * Feeds of rows `start` … `start + count` for a session that takes the saved graph's own inputs, and its lists whole.
 */
export function feedsOf(
  session: ort.InferenceSession,
  { inputs, rows }: InputRows,
  start: number,
  count: number,
  lists: readonly ListLength[] = [],
): Record<string, ort.Tensor> {
  const feeds: Record<string, ort.Tensor> = {}
  for (const { name, size } of lists) feeds[name] = tensorOf(lengthTensor(size))
  for (const input of session.inputMetadata) {
    if (feeds[input.name] !== undefined) continue
    const values = inputs[input.name]
    if (values === undefined || !input.isTensor) throw new Error(`there are no values of the input ${input.name}`)
    const width = values.length / rows
    const part = values.subarray(start * width, (start + count) * width)
    const dims = [count, ...input.shape.slice(1).map(Number)]
    if (input.type === 'int64')
      feeds[input.name] = new onnxruntime.Tensor(
        'int64',
        BigInt64Array.from(part, (value) => BigInt(value)),
        dims,
      )
    else if (input.type === 'float32')
      feeds[input.name] = new onnxruntime.Tensor('float32', Float32Array.from(part), dims)
    else feeds[input.name] = new onnxruntime.Tensor('int32', Int32Array.from(part), dims)
  }
  return feeds
}

/** One output for all rows: [rows, width]. */
export async function predictRows(
  session: ort.InferenceSession,
  output: string,
  rows: InputRows,
  lists?: readonly ListLength[],
): Promise<Float32Array> {
  let all: Float32Array | undefined
  for (let start = 0; start < rows.rows; start += chunk) {
    const count = Math.min(chunk, rows.rows - start)
    const result = (await session.run(feedsOf(session, rows, start, count, lists), [output]))[output]!
      .data as Float32Array
    all ??= new Float32Array((result.length / count) * rows.rows)
    all.set(result, (result.length / count) * start)
  }
  return all ?? new Float32Array()
}

/** Ranges of a graph's hidden values and features, for int8. */
export interface Calibration {
  maxima: Maxima
  ranges: Map<string, Range>
}

/** Runs the graph on rows and observes ranges. */
export async function calibrate(cut: CutGraph, rows: InputRows): Promise<Calibration> {
  const watched = cut.whole.copy()
  const hidden = hiddenLayers(watched, new Set(cut.regions.values())).map(({ output }) => output[0]!)
  const values = new Map<string, Segment>()
  const layers = [...firstLayers(cut.rest), ...regionalLayers(cut)]
  for (const { gemm, segments } of [...layers, ...mixedProducts(cut, layers, new Set(hidden))])
    for (const [i, segment] of segments.entries())
      if (segment.table === undefined) values.set(rangeKey(gemm.input[0]!, i), segment)
  const built = new Map<string, { name: string; width: number }>()
  for (const [key, segment] of values) {
    const positions = segment.columns.map((_, i) => i)
    // An input cannot be an output too.
    const name = watched.node('Identity', [segment.build(watched, packedInput(watched, cut, segment), positions)])
    built.set(key, { name, width: positions.length })
  }
  const names = [...hidden, ...[...built.values()].map(({ name }) => name)]
  watched.outputs.splice(0, Infinity, ...names.map((name) => create(ValueInfoProtoSchema, { name })))
  const maxima: Maxima = new Map()
  const ranges = new Map<string, Range>()
  if (names.length === 0) return { maxima, ranges }
  const session = await openSession(watched.toBytes(), watched.folder)
  try {
    for (let start = 0; start < rows.rows; start += chunk) {
      const count = Math.min(chunk, rows.rows - start)
      const results = await session.run(feedsOf(session, rows, start, count))
      for (const name of hidden) {
        const data = results[name]!.data as Float32Array
        const width = cut.whole.shapes.get(name)!.dims.at(-1)!
        const largest = maxima.get(name) ?? new Float32Array(width)
        maxima.set(name, largest)
        for (let i = 0; i < data.length; i++) if (data[i]! > largest[i % width]!) largest[i % width] = data[i]!
      }
      for (const [key, { name, width }] of built) {
        const data = results[name]!.data as Float32Array
        const range = ranges.get(key) ?? {
          lo: new Float32Array(width).fill(Number.POSITIVE_INFINITY),
          hi: new Float32Array(width).fill(Number.NEGATIVE_INFINITY),
        }
        ranges.set(key, range)
        for (let i = 0; i < data.length; i++) {
          const column = i % width
          if (data[i]! < range.lo[column]!) range.lo[column] = data[i]!
          if (data[i]! > range.hi[column]!) range.hi[column] = data[i]!
        }
      }
    }
  } finally {
    await session.release()
  }
  return { maxima, ranges }
}

/** The columns of a segment, picked from its input, its region or a mixed tensor. */
function packedInput(graph: Graph, { rest, regions, mixed }: CutGraph, { input: source, columns }: Segment): string {
  const { dtype, dims } = rest.shapes.get(source)!
  const tensor = regions.get(source) ?? mixed.get(source)
  const input = tensor === undefined ? source : graph.node('Reshape', [tensor, graph.integers([-1, dims[1]!])])
  const [, width] = dims
  // A single column, [batch], becomes a matrix when its values are recomputed.
  if (width === undefined)
    return graph.node('Reshape', [input, graph.integers([-1, 1])], { shape: { dtype, dims: [-1, 1] } })
  if (columns.length === width && columns.every((column, i) => column === i)) return input
  return graph.node('Gather', [input, graph.integers(columns)], { attributes: { axis: 1 } })
}

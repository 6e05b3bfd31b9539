import type ort from 'onnxruntime-node'
import type { InferenceSession } from 'onnxruntime-node'
import { product } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { fileReason, pathInside, sizeOfOrdinary } from '../../../base/files.ts'
import { onnxruntime, withExternalData } from '../../../base/onnxruntime.ts'
import {
  type Batch,
  type GraphSource,
  type LoadedGraph,
  noCache,
  noMemory,
  type Outputs,
  type Signature,
  type TensorData,
} from '../../contracts/engine.ts'
import { constantBytes } from '../../graph/ir/external-data.ts'
import { invalidIn, unsupportedIn } from '../../graph/ir/file-errors.ts'
import type { Graph } from '../../graph/ir/graph.ts'
import { isMarked } from '../../graph/ir/ids.ts'
import { tooLarge } from '../../graph/ir/shapes.ts'
import { keepOutputs, openGraph } from '../../graph/lower/read-graph.ts'
import { refuseFloats, refuseNegative, valuesOf } from '../memory.ts'
import { idsOf, outputsOf, sessionWidth } from './session-outputs.ts'

/** A call's failures are thrown; ONNX Runtime need not write them to standard error too. */
const quiet: InferenceSession.RunOptions = { logSeverityLevel: 4 }

/** An input as the session wants it. */
interface Feed {
  name: string
  type: 'int32' | 'int64' | 'float32'
  /** Dimensions after the batch. */
  dims: number[]
}

/**
 * Opens a graph as it was saved. `mostBytes`: of its weights in memory; beyond it ONNX Runtime opens the file itself.
 */
export async function openExported(
  source: GraphSource,
  options: InferenceSession.SessionOptions,
  mostBytes: number | undefined,
): Promise<LoadedGraph> {
  const opened = await open(source, options, mostBytes)
  const { session } = opened
  try {
    return graphOf(opened, source)
  } catch (error) {
    await session.release()
    throw error
  }
}

/** A session of the graph as it was saved, and which of its inputs must not be negative. */
interface Opened {
  session: InferenceSession
  ids: ReturnType<typeof idsOf>
  /** Bytes of the graph's weights. */
  bytes: number
}

/** Refuses a graph that would exhaust memory. Other faults are reported when the graph is opened. */
async function checkMemory(graph: Graph, file: string): Promise<void> {
  const large = await tooLarge(graph)
  if (large !== undefined) throw unsupportedIn(file, large)
}

async function open(
  source: GraphSource,
  options: InferenceSession.SessionOptions,
  mostBytes: number | undefined,
): Promise<Opened> {
  const { folder, file, format, joined } = source
  const create = async (graph: string | Uint8Array, own = options) =>
    await onnxruntime.InferenceSession.create(graph as string, own).catch((error) => refuse(source, error))
  const isPlain = format === 'onnx' && joined === undefined
  // ONNX Runtime also computes graphs that are not understood here, or are too large for one file.
  const graph = await openGraph(source, mostBytes).catch((error) => {
    if (isPlain && error instanceof ModelError && error.code === 'UNSUPPORTED_GRAPH') return undefined
    throw error
  })
  if (graph !== undefined) await checkMemory(graph, file)
  // It reads an ONNX file itself, but neither shapes nor axes from other files.
  if (graph !== undefined && (!isPlain || graph.isResolved)) {
    if (!isPlain) keepOutputs(graph, source)
    const ids = idsOf(source, graph.inputs.filter(isMarked))
    return {
      session: await create(graph.toBytes(), withExternalData(options, graph.folder)),
      ids,
      bytes: constantBytes(graph),
    }
  }
  const path = pathInside(folder, folder, file)
  const size = await sizeOfOrdinary(path).catch((cause) => {
    throw invalidIn(file, `can't be read: ${fileReason(cause)}`, cause)
  })
  return { session: await create(path), ids: idsOf(source, []), bytes: graph ? constantBytes(graph) : size }
}

function graphOf({ session, ids, bytes }: Opened, { file, outputs }: GraphSource): LoadedGraph {
  const feeds = session.inputMetadata.map((input) => feedOf(file, input))
  const signature: Signature = {
    inputs: feeds.map(({ name, type, dims }) => ({
      name,
      dtype: type === 'float32' ? 'float32' : 'int32',
      width: product(dims),
    })),
    outputs: outputs.map((name) => ({ name, width: sessionWidth(file, session, name) })),
  }
  const widths = new Map(signature.outputs.map(({ name, width }) => [name, width]))
  const convert = feeds.map(createConverter)
  let open = true
  let rows = 0

  async function run(batch: Batch, wanted: string[]): Promise<Outputs> {
    if (!open) throw new ModelError('MODEL_FAILED', `${file}: is closed`)
    if (batch.rows === 0) return Object.fromEntries(wanted.map((name) => [name, new Float32Array(0)]))
    rows += batch.rows
    const tensors: Record<string, ort.Tensor> = {}
    for (const [i, input] of signature.inputs.entries()) {
      const { name, type, dims } = feeds[i]!
      const values = valuesOf(batch, input)
      if (ids(input)) refuseNegative(name, values)
      tensors[name] = new onnxruntime.Tensor(type, convert[i]!(values), [batch.rows, ...dims])
    }
    const results = await session.run(tensors, wanted, quiet).catch((cause) => {
      throw new ModelError('MODEL_FAILED', `${file}: ${reasonOf(cause)}`, { cause })
    })
    return outputsOf(results, wanted, widths, { rows: batch.rows, file })
  }

  async function close(): Promise<void> {
    if (!open) return
    open = false
    await session.release()
  }

  // Counted too: a worker that could not load a version's compiled plan again computes with this.
  const stats = () => ({
    rows: { exported: rows, full: 0, shared_context: 0, cached: 0 },
    cache: { ...noCache },
    memory: { ...noMemory, weights: bytes },
  })
  return { signature, run, stats, close }
}

/** Creates a function that brings a caller's values into the session's type; a result lives until the next call. */
function createConverter({ name, type }: Feed): (values: TensorData) => TensorData | BigInt64Array {
  if (type === 'int64') {
    let scratch = new BigInt64Array(0)
    return (values) => {
      if (scratch.length < values.length) scratch = new BigInt64Array(values.length)
      for (let i = 0; i < values.length; i++) scratch[i] = BigInt(values[i]!)
      return scratch.subarray(0, values.length)
    }
  }
  return (values) => {
    if (type === 'int32') refuseFloats(name, values)
    return type === 'float32' && values instanceof Int32Array ? Float32Array.from(values) : values
  }
}

function feedOf(file: string, input: InferenceSession.ValueMetadata): Feed {
  const { name } = input
  if (!input.isTensor || !(input.type === 'int32' || input.type === 'int64' || input.type === 'float32'))
    throw unsupportedIn(file, `the input ${name} is ${input.isTensor ? input.type : 'no tensor'}, not int32 or float32`)
  const [batch, ...dims] = input.shape
  if (typeof batch === 'number') throw unsupportedIn(file, `the input ${name} has room for ${batch} rows alone`)
  if (!dims.every((side) => typeof side === 'number'))
    throw unsupportedIn(file, `the input ${name} has no fixed width: [${input.shape}]`)
  return { name, type: input.type, dims }
}

/** A session's refusal: of a file that is no ONNX, or of a graph that can't run; then its text names the node. */
function refuse({ file, folder }: GraphSource, error: unknown): never {
  // Where it lies on this machine is nobody's business.
  const reason = reasonOf(error)
    .replace(/^Load model from .*? failed:/, '')
    .replaceAll(`${folder}/`, '')
    .replaceAll(folder, '.')
  const damaged = /protobuf parsing failed|does not have a graph/i.test(reason)
  throw new ModelError(
    damaged ? 'INVALID_BUNDLE' : 'UNSUPPORTED_GRAPH',
    damaged ? `${file}: is not an ONNX file` : `${file}: ${reason}`,
    { cause: error },
  )
}

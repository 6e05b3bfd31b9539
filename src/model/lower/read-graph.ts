import { type FileHandle, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { ModelError, reasonOf } from '../base/errors.ts'
import { pathInside } from '../base/path-inside.ts'
import { fileReason, sizeOfOrdinary } from '../base/regular-file.ts'
import type { GraphSource } from '../contracts/engine.ts'
import { isExternal } from '../graph/constants.ts'
import { sidesOf } from '../graph/declared.ts'
import { bytesOf, externalPlace, isTable } from '../graph/external-data.ts'
import { Graph } from '../graph/graph.ts'
import {
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
} from '../graph/onnx_pb.ts'
import { traceShapes } from '../graph/shapes.ts'
import { joinTensors, partsOf } from './concatenate.ts'

/**
 * A saved graph with only one of its outputs (its only one, if none is named); nodes for other outputs are dropped.
 * Embedding tables in external files stay there, to be mapped into memory; other weights are read, since passes need them.
 *
 * Rejects like Engine.load, and with INVALID_BUNDLE for external data outside the folder.
 */
export async function readGraph(source: GraphSource, output: string | undefined): Promise<Graph> {
  const { file, format, outputs } = source
  // In a layers model any layer can be an output.
  const asked = format === 'layers' && output !== undefined ? [...new Set([...outputs, output])] : outputs
  const graph = await openGraph({ ...source, outputs: asked })
  const names = graph.outputs.map(({ name }) => name).join(', ')
  const wanted = output === undefined ? graph.outputs.slice() : graph.outputs.filter(({ name }) => name === output)
  if (wanted.length === 0)
    throw new ModelError(
      'INVALID_BUNDLE',
      `${file}: there is no output ${output ?? 'at all'}${names && `, but ${names}`}`,
    )
  if (wanted.length > 1) {
    throw new ModelError('INVALID_REQUEST', `${file}: name one of its outputs: ${names}`)
  }
  for (const name of source.outputs) checkOutput(graph, name, `${file}: `)
  graph.outputs.splice(0, Infinity, ...wanted)
  graph.tidy()
  await readExternal(graph, source.folder, (name) => !isTable(graph, name))
  return graph
}

/**
 * Prepares a graph of `openGraph` for ONNX Runtime: keeps only the outputs that may be requested, and reads all data except
 * tables in files below the graph's `folder`. Rejects like `readGraph`.
 */
export async function completeGraph(graph: Graph, source: GraphSource): Promise<void> {
  await complete(graph, source, (name) => !isTable(graph, name))
}

/** A graph with all its data, for a self-contained file. */
export async function readComplete(source: GraphSource): Promise<Graph> {
  const graph = await openGraph(source)
  await complete(graph, source, () => true)
  return graph
}

/** A saved graph with all its outputs and data. */
export async function readWhole(source: GraphSource): Promise<Graph> {
  const graph = await openGraph(source)
  await readExternal(graph, source.folder, () => true)
  return graph
}

async function complete(graph: Graph, source: GraphSource, isRead: (name: string) => boolean): Promise<void> {
  for (const name of source.outputs) checkOutput(graph, name, `${source.file}: `)
  const wanted = graph.outputs.filter(({ name }) => source.outputs.includes(name))
  graph.outputs.splice(0, Infinity, ...wanted)
  graph.tidy()
  await readExternal(graph, source.folder, isRead)
}

/** A saved graph of any format with all its outputs; for a layers model `source.outputs`, or the model's own if that is empty. */
export async function openGraph(source: GraphSource): Promise<Graph> {
  const graph = await openSaved(source)
  const { joined, file } = source
  if (joined === undefined) return graph
  const parts = Object.values(joined.outputs).flatMap(({ tensors }) => tensors)
  const unclear = (output: ValueInfoProto) => parts.includes(output.name) && sidesOf(graph, output) === undefined
  // Outputs are often declared without their width. Loading reports a graph that cannot be run.
  if (graph.outputs.some(unclear)) {
    await readExternal(graph, source.folder, (name) => !isTable(graph, name))
    await traceShapes(graph).catch(() => undefined)
  }
  joinTensors(graph, joined, file)
  return graph
}

/** What reads a format is loaded for it alone: a worker thread that opens a compiled plan starts with half of the modules. */
async function openSaved(source: GraphSource): Promise<Graph> {
  const { folder, file, format, outputs, joined } = source
  if (format === 'layers') {
    const { readLayersModel } = await import('./layers/layers-model.ts')
    const { lowerToGraph } = await import('./layers/lower-layers.ts')
    const model = await readLayersModel(folder, file)
    const own = outputs.length > 0 ? outputs : model.outputs.map(({ layer }) => layer)
    return Graph.from(lowerToGraph(model, partsOf(own, joined)), folder)
  }
  if (format !== 'onnx') return (await import('./read-tensorflow-graph.ts')).readTensorflowGraph(source)
  const path = pathInside(folder, folder, file)
  return parse(await readOnnx(path, file), dirname(path), file)
}

/** Protobuf's limit for one message, which applies to ONNX files. */
const largestFile = 2 ** 31 - 1

async function readOnnx(path: string, file: string): Promise<Buffer> {
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largestFile) throw new Error(`its ${size} bytes are more than the 2 GiB that an ONNX file can have`)
    return await readFile(path)
  } catch (cause) {
    throw new ModelError('INVALID_BUNDLE', `${file}: can't be read: ${fileReason(cause)}`, { cause })
  }
}

/** Rejects if external data is missing or outside the folder; reads none of it. */
export const checkExternal = (graph: Graph, folder: string): Promise<void> => readExternal(graph, folder, () => false)

/** Reads the external data of wanted constants. Rejects with INVALID_BUNDLE if it is missing, damaged or outside the folder. */
export async function readExternal(
  graph: Graph,
  folder: string,
  isWanted: (name: string) => boolean = () => true,
): Promise<void> {
  for (const tensor of [...graph.constants.values()]) {
    if (!isExternal(tensor)) continue
    const place = pathInside(folder, graph.folder, externalPlace(tensor).location)
    await checkPlace(place, tensor)
    if (isWanted(tensor.name)) graph.constants.set(tensor.name, await readTensor(place, tensor))
  }
}

/** Outputs that may be requested later are checked too. */
function checkOutput(graph: Graph, name: string, where: string): void {
  const output = graph.outputs.find((candidate) => candidate.name === name)
  if (output === undefined) throw new ModelError('INVALID_BUNDLE', `${where}there is no output ${name}`)
  const type = output.type?.value
  if (type?.case === 'tensorType' && type.value.elemType !== DataType.FLOAT)
    throw new ModelError('UNSUPPORTED_GRAPH', `${where}the output ${name} is not float32`)
}

/** Checks offset and length, which may lead outside the file. */
async function checkPlace(path: string, tensor: TensorProto): Promise<void> {
  const { location, start, length = bytesOf(tensor) } = externalPlace(tensor)
  const size = await sizeOfOrdinary(path).catch((cause) => {
    throw new ModelError('INVALID_BUNDLE', `${location}: can't be read: ${fileReason(cause)}`, { cause })
  })
  if (!Number.isSafeInteger(start) || start < 0 || length !== bytesOf(tensor) || start + length > size)
    throw new ModelError('INVALID_BUNDLE', `${location}: ${tensor.name} lies outside of it, or has another length`)
}

async function readTensor(path: string, tensor: TensorProto): Promise<TensorProto> {
  const { name, dataType, dims } = tensor
  const { location, start } = externalPlace(tensor)
  const rawData = new Uint8Array(bytesOf(tensor))
  let file: FileHandle | undefined
  try {
    file = await open(path)
    for (let done = 0; done < rawData.length; ) {
      const { bytesRead } = await file.read(rawData, done, rawData.length - done, start + done)
      if (bytesRead === 0) throw new Error('it ends too early')
      done += bytesRead
    }
  } catch (cause) {
    throw new ModelError('INVALID_BUNDLE', `${location}: ${name} can't be read: ${reasonOf(cause)}`, { cause })
  } finally {
    await file?.close()
  }
  return create(TensorProtoSchema, { name, dataType, dims, rawData })
}

function parse(bytes: Uint8Array, folder: string, file: string): Graph {
  try {
    return Graph.parse(bytes, folder)
  } catch (cause) {
    if (cause instanceof ModelError) throw new ModelError(cause.code, `${file}: ${cause.message}`, { cause })
    throw new ModelError('INVALID_BUNDLE', `${file}: is not an ONNX file`, { cause })
  }
}

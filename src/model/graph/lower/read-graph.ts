import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { ModelError } from '../../../base/errors.ts'
import { fileReason, pathInside, sizeOfOrdinary } from '../../../base/files.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import { sidesOf } from '../ir/declared.ts'
import { invalidIn } from '../ir/file-errors.ts'
import { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, ModelProtoSchema, type ValueInfoProto } from '../ir/onnx_pb.ts'
import { traceShapes } from '../ir/shapes.ts'
import { joinTensors, partsOf } from './concatenate.ts'
import { readExternal, resolveExternal } from './external-weights.ts'

/**
 * A saved graph with only one of its outputs (its only one, if none is named); nodes for other outputs are dropped.
 * Rejects like `openGraph`.
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
  return graph
}

/** Keeps only the outputs of a graph that may be requested. Throws like `readGraph`. */
export function keepOutputs(graph: Graph, source: GraphSource): void {
  for (const name of source.outputs) checkOutput(graph, name, `${source.file}: `)
  const wanted = graph.outputs.filter(({ name }) => source.outputs.includes(name))
  graph.outputs.splice(0, Infinity, ...wanted)
  graph.tidy()
}

/** A graph with all its data, for a self-contained file. */
export async function readComplete(source: GraphSource): Promise<Graph> {
  const graph = await openGraph(source)
  keepOutputs(graph, source)
  await readExternal(graph, source.folder)
  return graph
}

/** A saved graph with all its outputs and data. */
export async function readWhole(source: GraphSource): Promise<Graph> {
  const graph = await openGraph(source)
  await readExternal(graph, source.folder)
  return graph
}

/**
 * A saved graph of any format with all its outputs; for a layers model `source.outputs`, or the model's own if that is
 * empty. Large tables in files stay there, below the graph's `folder`; all other weights are in memory, wherever they
 * were saved.
 *
 * Rejects like Engine.load, and like `resolveExternal`. `mostBytes`: of its weights in memory.
 */
export async function openGraph(source: GraphSource, mostBytes?: number): Promise<Graph> {
  const graph = await openSaved(source)
  const { joined, file } = source
  await resolveExternal(graph, source.folder, file, mostBytes)
  if (joined === undefined) return graph
  const parts = Object.values(joined.outputs).flatMap(({ tensors }) => tensors)
  const unclear = (output: ValueInfoProto) => parts.includes(output.name) && sidesOf(graph, output) === undefined
  // Outputs are often declared without their width. Loading reports a graph that cannot be run.
  if (graph.outputs.some(unclear)) await traceShapes(graph).catch(() => undefined)
  joinTensors(graph, joined, file)
  return graph
}

/**
 * The modules that read a format are loaded for it alone: a worker thread that opens a compiled plan starts with half
 * of all modules.
 */
async function openSaved(source: GraphSource): Promise<Graph> {
  const { folder, file, format, outputs, joined } = source
  if (format === 'layers') {
    const { readLayersModel } = await import('./layers/layers-model.ts')
    const { lowerToGraph } = await import('./layers/lower-layers.ts')
    const model = await readLayersModel(folder, file)
    const own = outputs.length > 0 ? outputs : model.outputs.map(({ layer }) => layer)
    return lowerToGraph(model, partsOf(own, joined), { folder })
  }
  if (format !== 'onnx') return (await import('./read-tensorflow-graph.ts')).readTensorflowGraph(source)
  const path = pathInside(folder, folder, file)
  return parse(await readOnnx(path, file), dirname(path), file)
}

/** Inputs and nodes of an ONNX file, also of one that is too odd for a graph, but was understood as a message. */
export async function readNodes({ folder, file }: GraphSource): Promise<Pick<Graph, 'inputs' | 'nodes'>> {
  const { graph } = fromBinary(ModelProtoSchema, await readOnnx(pathInside(folder, folder, file), file))
  return { inputs: graph?.input ?? [], nodes: graph?.node ?? [] }
}

/** Protobuf's limit for one message, which applies to ONNX files. */
const largestFile = 2 ** 31 - 1

async function readOnnx(path: string, file: string): Promise<Buffer> {
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largestFile) throw new Error(`its ${size} bytes are more than the 2 GiB that an ONNX file can have`)
    return await readFile(path)
  } catch (cause) {
    throw invalidIn(file, `can't be read: ${fileReason(cause)}`, cause)
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

function parse(bytes: Uint8Array, folder: string, file: string): Graph {
  try {
    return Graph.parse(bytes, folder)
  } catch (cause) {
    if (cause instanceof ModelError) throw new ModelError(cause.code, `${file}: ${cause.message}`, { cause })
    throw invalidIn(file, 'is not an ONNX file', cause)
  }
}

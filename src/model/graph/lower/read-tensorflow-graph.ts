import type { GraphSource } from '../../contracts/engine.ts'
import type { Graph } from '../ir/graph.ts'
import { lowerProgram } from './lower-tensorflow.ts'
import { readGraphModel } from './tensorflow/graph-model.ts'
import type { Program } from './tensorflow/program.ts'
import { readSavedModel } from './tensorflow/saved-model.ts'

/**
 * A TensorFlow SavedModel or TensorFlow.js graph model as an ONNX graph, with all inputs and outputs of its signature,
 * named by their keys.
 *
 * Rejects like Engine.load: with UNSUPPORTED_GRAPH, naming the node, if it cannot be lowered; with INVALID_BUNDLE,
 * naming the file, if it cannot be read.
 */
export async function readTensorflowGraph(source: GraphSource): Promise<Graph> {
  return await lowerProgram(await readProgram(source), source.folder)
}

/** The graph, checked but not lowered. */
export async function readProgram({ folder, format, file, signature }: GraphSource): Promise<Program> {
  return format === 'saved_model'
    ? await readSavedModel(folder, file, signature)
    : await readGraphModel(folder, file, signature)
}

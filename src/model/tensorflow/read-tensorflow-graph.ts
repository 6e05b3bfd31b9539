import type { Graph } from '../compile/graph.ts'
import type { GraphSource } from '../engines/engine.ts'
import { readGraphModel } from './graph-model.ts'
import { lowerProgram } from './lower.ts'
import type { Program } from './program.ts'
import { readSavedModel } from './saved-model.ts'

/**
 * A TensorFlow SavedModel or TensorFlow.js graph model as an ONNX graph, with all inputs and outputs of its signature, by
 * their keys.
 *
 * Rejects like Engine.load: with UNSUPPORTED_GRAPH naming the node for what ONNX has no form of here, with INVALID_BUNDLE
 * naming the file for what can't be read.
 */
export async function readTensorflowGraph(source: GraphSource): Promise<Graph> {
  return await lowerProgram(await readProgram(source), source.folder)
}

/** The graph as it is on disk. */
export async function readProgram({ folder, format, file, signature }: GraphSource): Promise<Program> {
  return format === 'saved_model'
    ? await readSavedModel(folder, file, signature)
    : await readGraphModel(folder, file, signature)
}

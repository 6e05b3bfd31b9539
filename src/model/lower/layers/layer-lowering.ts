import { ModelError } from '../../base/errors.ts'
import type { GraphBuilder, Value } from '../../graph/graph-builder.ts'
import type { Layer } from './layers-model.ts'

/** One application of a layer, to be lowered to ONNX nodes. */
export interface Application {
  layer: Layer
  inputs: Value[]
  /** Required name of the output. */
  output: string
  graph: GraphBuilder
  /** Whether the layer is lowered as it computes in training. */
  training: boolean
  /** The layer's weight of that name as a constant of the graph, shared by all its applications; checks its shape. */
  weight(name: string, shape: number[]): string
  /** A new input of the graph, float32 [B, …dims], for a mask of this application; its name. */
  mask(dims: number[]): string
}

/** Adds the nodes of one application; returns its output. Throws UNSUPPORTED_GRAPH naming the layer. */
export type Lowering = (application: Application) => Value

export function unsupported(layer: Layer, what: string): ModelError {
  return new ModelError('UNSUPPORTED_GRAPH', `layer ${layer.name} (${layer.className}): ${what}`)
}

/** The only input; it must have `rank` dimensions after the batch, if that is given. */
export function only({ layer, inputs }: Application, rank?: number): Value {
  const [input] = inputs
  if (input === undefined || inputs.length !== 1) throw unsupported(layer, `has ${inputs.length} inputs, not one`)
  if (rank !== undefined && input.dims.length !== rank)
    throw unsupported(layer, `is supported on inputs of rank ${rank + 1}, not ${input.dims.length + 1}`)
  return input
}

/** An axis of a tensor with `rank` dimensions, the batch included, as an index from 0. */
export function axisOf(layer: Layer, axis: unknown, rank: number): number {
  const single = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis
  const index = typeof single === 'number' && single < 0 ? single + rank : single
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 1 || index >= rank)
    throw unsupported(layer, `the axis ${JSON.stringify(axis)} is not supported`)
  return index
}

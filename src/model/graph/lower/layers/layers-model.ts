import type { Static } from 'typebox'
import Type from 'typebox'
import { product } from '../../../../base/arrays.ts'
import { pathInside } from '../../../../base/files.ts'
import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { checkFormat, readJson } from '../read-file.ts'
import { readWeights, weightsManifest } from '../weight-shards.ts'

/** One output of one application of a layer. */
export interface TensorReference {
  layer: string
  /** Index of the application in the layer's `applications`. */
  node: number
  tensor: number
}

export interface Layer {
  name: string
  className: string
  /** With Keras' snake_case keys. */
  config: Record<string, unknown>
  /** Inputs per application; a shared layer has several applications, an input layer none. */
  applications: TensorReference[][]
}

export interface Weight {
  name: string
  dtype: 'float32' | 'int32'
  shape: number[]
  /** Row-major, little-endian: a view of the model's `weightData`. */
  data: Uint8Array
}

/** A TensorFlow.js layers model, checked but not interpreted. */
export interface LayersModel {
  /** Path of model.json, for messages. */
  file: string
  /** `modelTopology` for tf.loadLayersModel. */
  topology: Record<string, unknown>
  layers: Map<string, Layer>
  inputs: TensorReference[]
  outputs: TensorReference[]
  /** By name, in the file's order: `<layer>/<weight>`. */
  weights: Map<string, Weight>
  /** All weights, concatenated. */
  weightData: ArrayBuffer
}

/**
 * Reads a layers model: `file` below `folder`, and the weight shards it names.
 *
 * Rejects with INVALID_BUNDLE, naming the file, if one is missing, malformed, of the wrong size or outside `folder`;
 * with UNSUPPORTED_GRAPH for other kinds of models and quantised weights.
 */
export async function readLayersModel(folder: string, file: string): Promise<LayersModel> {
  const path = pathInside(folder, folder, file)
  const parsed = await readJson(path, file)
  if ((parsed as { format?: unknown } | null)?.format === 'graph-model')
    throw unsupportedIn(file, 'is a TensorFlow.js graph model, not a layers model')
  const { modelTopology, weightsManifest: manifest } = checkFormat(LayersFile, parsed, file, 'is not a layers model')
  const topology = (modelTopology.model_config ?? modelTopology) as Record<string, unknown>
  const parts = layersOf(file, topology)
  const { stored, weightData } = await readWeights(folder, file, manifest, (spec) => byteLength(file, spec))
  const weights = new Map<string, Weight>()
  for (const [name, { spec, bytes }] of stored)
    weights.set(name, { name, dtype: spec.dtype as Weight['dtype'], shape: spec.shape, data: bytes })
  return { file, topology, ...parts, weights, weightData }
}

/** The layers of a `modelTopology`. Throws as `readLayersModel` does. */
export function layersOf(
  file: string,
  topology: Record<string, unknown>,
): Pick<LayersModel, 'layers' | 'inputs' | 'outputs'> {
  if (typeof topology.class_name === 'string' && !['Model', 'Functional'].includes(topology.class_name))
    throw unsupportedIn(file, `models of class ${topology.class_name} are not supported`)
  const { config } = checkFormat(ModelConfig, topology, file, 'is not a layers model')

  const layers = new Map<string, Layer>()
  for (const { name, class_name, config: options, inbound_nodes } of config.layers) {
    if (layers.has(name)) throw invalidIn(file, `two layers are named ${name}`)
    layers.set(name, {
      name,
      className: class_name,
      config: options,
      applications: inbound_nodes.map((inputs) => inputs.map(toReference)),
    })
  }
  const inputs = config.input_layers.map(toReference)
  const outputs = config.output_layers.map(toReference)
  checkReferences(file, layers, [...inputs, ...outputs])
  for (const layer of layers.values()) checkReferences(file, layers, layer.applications.flat())
  return { layers, inputs, outputs }
}

function byteLength(file: string, weight: Static<typeof WeightSpec>): number {
  if (weight.quantization !== undefined) throw unsupportedIn(file, `the weight ${weight.name} is quantised`)
  if (weight.dtype !== 'float32' && weight.dtype !== 'int32')
    throw invalidIn(file, `the weight ${weight.name} has the dtype ${weight.dtype}, not float32 or int32`)
  return product(weight.shape) * 4
}

function checkReferences(file: string, layers: Map<string, Layer>, references: TensorReference[]): void {
  for (const { layer: name, node } of references) {
    const layer = layers.get(name)
    if (layer === undefined) throw invalidIn(file, `there is no layer ${name}, which another layer reads`)
    // An input layer lists no application, but has one.
    if (node >= Math.max(1, layer.applications.length))
      throw invalidIn(file, `the layer ${name} has no application ${node}, which another layer reads`)
  }
}

function toReference([layer, node, tensor]: [string, number, number, ...unknown[]]): TensorReference {
  return { layer, node, tensor }
}

/*
 * The parts of a TensorFlow.js layers model's model.json that are read, as tfjs-layers 4 and Keras' converter write
 * them. Other parts are ignored.
 */

/** Output `tensor` of the `node`-th application of a layer. */
const Reference = Type.Union([
  Type.Tuple([Type.String(), Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 0 })]),
  Type.Tuple([
    Type.String(),
    Type.Integer({ minimum: 0 }),
    Type.Integer({ minimum: 0 }),
    Type.Record(Type.String(), Type.Unknown()),
  ]),
])

const SavedLayer = Type.Object({
  name: Type.String({ minLength: 1 }),
  class_name: Type.String(),
  config: Type.Record(Type.String(), Type.Unknown()),
  inbound_nodes: Type.Array(Type.Array(Reference), { description: 'One entry per application: its inputs' }),
})

export type ModelConfig = Static<typeof ModelConfig>
export const ModelConfig = Type.Object({
  class_name: Type.String(),
  config: Type.Object({
    layers: Type.Array(SavedLayer, { minItems: 1 }),
    input_layers: Type.Array(Reference),
    output_layers: Type.Array(Reference, { minItems: 1 }),
  }),
})

const WeightSpec = Type.Object({
  name: Type.String({ minLength: 1 }),
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  dtype: Type.String(),
  quantization: Type.Optional(Type.Unknown()),
})

const LayersFile = Type.Object({
  format: Type.Optional(Type.String()),
  modelTopology: Type.Record(Type.String(), Type.Unknown()),
  weightsManifest: weightsManifest(WeightSpec),
})

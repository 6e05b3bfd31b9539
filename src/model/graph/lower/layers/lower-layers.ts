import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { Graph } from '../../ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../ir/onnx_pb.ts'
import { declare } from '../../ir/tensor-shape.ts'
import {
  type Lowering,
  lowerActivation,
  lowerBatchNormalization,
  lowerDense,
  lowerDropout,
  lowerEmbedding,
  lowerReLU,
  lowerRescaling,
  lowerSoftmax,
  unsupported,
  type Value,
} from './layer-rules.ts'
import type { Layer, LayersModel, TensorReference } from './layers-model.ts'
import { itemsInput } from './list-classes.ts'
import { listLowerings } from './lists.ts'
import { lowerAdd, lowerAverage, lowerDot, lowerMaximum, lowerMultiply } from './merge.ts'
import {
  lowerConcatenate,
  lowerCropping2D,
  lowerFlatten,
  lowerGlobalAveragePooling1D,
  lowerReshape,
} from './reshape.ts'

const lowerings: Record<string, Lowering> = {
  Activation: lowerActivation,
  Add: lowerAdd,
  Average: lowerAverage,
  BatchNormalization: lowerBatchNormalization,
  Concatenate: lowerConcatenate,
  Cropping2D: lowerCropping2D,
  Dense: lowerDense,
  Dot: lowerDot,
  Dropout: lowerDropout,
  Embedding: lowerEmbedding,
  Flatten: lowerFlatten,
  GlobalAveragePooling1D: lowerGlobalAveragePooling1D,
  Maximum: lowerMaximum,
  Multiply: lowerMultiply,
  ReLU: lowerReLU,
  Rescaling: lowerRescaling,
  Reshape: lowerReshape,
  Softmax: lowerSoftmax,
  ...listLowerings,
}

/** Protobuf's limit for one message, which applies to ONNX files. */
const MOST_BYTES = 2 ** 31 - 1

export interface LowerOptions {
  /** Lower layers as they compute in training, not as they answer. */
  training?: boolean
  /** Folder of the graph's external data, of which it has none. */
  folder?: string
}

/** `lowerToGraph` as the bytes of an ONNX file. */
export function lowerLayersModel(model: LayersModel, outputs: string[]): Uint8Array<ArrayBuffer> {
  return lowerToGraph(model, outputs).toBytes()
}

/**
 * Lowers a layers model to an ONNX graph, layer by layer, without optimisation. Weights are shared with `model`.
 *
 * Inputs are the model's input layers, [batch, …]; every name in `outputs` is a layer that becomes an output of the
 * graph. Tensors are named after the layer they come from, inner ones with a colon and the operator.
 *
 * With `training`, normalisation takes the statistics of the batch (`training_mode`), and a dropout layer multiplies by
 * an input of the graph of its own, `<layer>:mask`, float32 of the shape of what it drops; and items of lists are
 * computed without padding, by inputs `<mask>:items`. Throws UNSUPPORTED_GRAPH
 * naming the layer and its class, INVALID_BUNDLE if a layer or a weight is missing.
 */
export function lowerToGraph(model: LayersModel, outputs: string[], options: LowerOptions = {}): Graph {
  if (model.weightData.byteLength > MOST_BYTES)
    throw unsupportedIn(model.file, 'its weights exceed the 2 GiB that an ONNX graph holds')
  const graph = Graph.create(
    model.inputs.map(({ layer }) => declared(inputOf(layerOf(model, layer)))),
    options.folder,
  )
  // Names of layers are kept for their outputs.
  for (const name of model.layers.keys()) graph.fresh(name)
  const constants = new Map<string, string>()
  const integers = new Map<string, string>()
  const values = new Map<string, Value>()
  const underWay = new Set<string>()

  function lower({ layer: name, node, tensor }: TensorReference): Value {
    const key = `${node} ${name}`
    const known = values.get(key)
    if (known) return known
    const layer = layerOf(model, name)
    if (tensor !== 0) throw unsupported(layer, 'several outputs are not supported')
    if (underWay.has(key)) throw invalidIn(model.file, `the layer ${name} depends on itself`)
    underWay.add(key)
    const value = layer.className === 'InputLayer' ? inputOf(layer) : apply(layer, node)
    values.set(key, value)
    return value
  }

  function apply(layer: Layer, node: number): Value {
    const lowering = Object.hasOwn(lowerings, layer.className) ? lowerings[layer.className] : undefined
    if (lowering === undefined) throw unsupported(layer, 'this class of layers is not supported')
    return lowering({
      layer,
      inputs: (layer.applications[node] ?? []).map(lower),
      output: node === answerOf(model, layer) ? layer.name : graph.fresh(`${layer.name}:${node}`),
      graph,
      node: (opType, input, output, attributes = {}) => graph.node(opType, input, { attributes, outputs: [output] }),
      integers: (values) => once(integers, values.join(), () => graph.integers(values)),
      training: options.training ?? false,
      weight: (name, shape) => constantOf(layer, name, shape),
      mask(dims) {
        const name = graph.fresh(`${layer.name}:mask`)
        graph.inputs.push(declared({ name, dtype: 'float32', dims }))
        return name
      },
      items(mask) {
        const name = itemsInput(mask)
        if (graph.inputs.every((input) => input.name !== name))
          graph.inputs.push(declare(name, { dtype: DataType.INT32, dims: [-1] }, name))
        return name
      },
    })
  }

  function constantOf(layer: Layer, name: string, shape: number[]): string {
    const path = `${layer.name}/${name}`
    const weight = model.weights.get(path)
    if (weight === undefined) throw invalidIn(model.file, `there is no weight ${path}`)
    if (weight.dtype !== 'float32' || weight.shape.join() !== shape.join())
      throw invalidIn(
        model.file,
        `the weight ${path} is ${weight.dtype} [${weight.shape}], its layer needs float32 [${shape}]`,
      )
    const { buffer, byteOffset, byteLength } = weight.data
    return once(constants, path, () =>
      graph.constant(path, new Float32Array(buffer, byteOffset, byteLength / 4), shape),
    )
  }

  for (const name of new Set(outputs)) {
    const layer = model.layers.get(name)
    if (layer === undefined || layer.className === 'InputLayer')
      throw invalidIn(model.file, `there is no layer ${name} to answer with`)
    const node = answerOf(model, layer)
    if (node === undefined)
      throw unsupported(
        layer,
        `is applied ${layer.applications.length} times, which leaves open which answer is wanted`,
      )
    graph.outputs.push(declared(lower({ layer: name, node, tensor: 0 })))
  }
  return graph
}

function once(names: Map<string, string>, key: string, make: () => string): string {
  const name = names.get(key) ?? make()
  names.set(key, name)
  return name
}

const declared = ({ name, dtype, dims }: Value) =>
  declare(name, { dtype: dtype === 'float32' ? DataType.FLOAT : DataType.INT32, dims: [-1, ...dims] })

/** The application whose output has the layer's name: the one that is an output of the model, or the only one. */
function answerOf(model: LayersModel, layer: Layer): number | undefined {
  const own = model.outputs.find((output) => output.layer === layer.name)
  return own?.node ?? (layer.applications.length === 1 ? 0 : undefined)
}

function layerOf(model: LayersModel, name: string): Layer {
  const layer = model.layers.get(name)
  if (layer === undefined) throw invalidIn(model.file, `there is no layer ${name}`)
  return layer
}

function inputOf(layer: Layer): Value {
  const { batch_input_shape: shape, dtype } = layer.config
  if (!Array.isArray(shape) || !shape.slice(1).every((side) => Number.isInteger(side) && side > 0))
    throw unsupported(layer, `the shape ${JSON.stringify(shape)} is not supported`)
  if (dtype !== 'float32' && dtype !== 'int32') throw unsupported(layer, `the dtype ${dtype} is not supported`)
  return { name: layer.name, dtype, dims: shape.slice(1) }
}

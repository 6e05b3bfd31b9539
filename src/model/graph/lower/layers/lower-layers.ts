import { toBinary } from '@bufbuild/protobuf'
import { ModelError } from '../../../../base/errors.ts'
import { GraphBuilder, type Value } from '../../ir/graph-builder.ts'
import { type ModelProto, ModelProtoSchema } from '../../ir/onnx_pb.ts'
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
} from './layer-rules.ts'
import type { Layer, LayersModel, TensorReference } from './layers-model.ts'
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
}

/** Protobuf's limit for one message, which applies to ONNX files. */
const MOST_BYTES = 2 ** 31 - 1

export interface LowerOptions {
  /** Lower layers as they compute in training, not as they answer. */
  training?: boolean
}

/** `lowerToGraph` as the bytes of an ONNX file. */
export function lowerLayersModel(model: LayersModel, outputs: string[]): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, lowerToGraph(model, outputs))
}

/**
 * Lowers a layers model to an ONNX graph, layer by layer, without optimisation. Weights are shared with `model`.
 *
 * Inputs are the model's input layers, [batch, …]; every name in `outputs` is a layer that becomes an output of the
 * graph. Tensors are named after the layer they come from, inner ones with a colon and the operator.
 *
 * With `training`, normalisation takes the statistics of the batch (`training_mode`), and a dropout layer multiplies by
 * an input of the graph of its own, `<layer>:mask`, float32 of the shape of what it drops. Throws UNSUPPORTED_GRAPH
 * naming the layer and its class, INVALID_BUNDLE if a layer or a weight is missing.
 */
export function lowerToGraph(model: LayersModel, outputs: string[], options: LowerOptions = {}): ModelProto {
  if (model.weightData.byteLength > MOST_BYTES)
    throw new ModelError('UNSUPPORTED_GRAPH', `${model.file}: its weights exceed the 2 GiB that an ONNX graph holds`)
  const graph = new GraphBuilder(model.layers.keys())
  const constants = new Map<string, string>()
  const values = new Map<string, Value>()
  const underWay = new Set<string>()
  const masks: Value[] = []
  const inputs = model.inputs.map(({ layer }) => inputOf(layerOf(model, layer)))

  function lower({ layer: name, node, tensor }: TensorReference): Value {
    const key = `${node} ${name}`
    const known = values.get(key)
    if (known) return known
    const layer = layerOf(model, name)
    if (tensor !== 0) throw unsupported(layer, 'several outputs are not supported')
    if (underWay.has(key)) throw new ModelError('INVALID_BUNDLE', `${model.file}: the layer ${name} depends on itself`)
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
      training: options.training ?? false,
      weight: (name, shape) => constantOf(layer, name, shape),
      mask(dims) {
        const name = graph.fresh(`${layer.name}:mask`)
        masks.push({ name, dtype: 'float32', dims })
        return name
      },
    })
  }

  function constantOf(layer: Layer, name: string, shape: number[]): string {
    const path = `${layer.name}/${name}`
    const known = constants.get(path)
    if (known) return known
    const weight = model.weights.get(path)
    if (weight === undefined) throw new ModelError('INVALID_BUNDLE', `${model.file}: there is no weight ${path}`)
    if (weight.dtype !== 'float32' || weight.shape.join() !== shape.join())
      throw new ModelError(
        'INVALID_BUNDLE',
        `${model.file}: the weight ${path} is ${weight.dtype} [${weight.shape}], its layer needs float32 [${shape}]`,
      )
    const constant = graph.constant(path, weight.dtype, weight.shape, weight.data)
    constants.set(path, constant)
    return constant
  }

  const wanted = [...new Set(outputs)].map((name) => {
    const layer = model.layers.get(name)
    if (layer === undefined || layer.className === 'InputLayer')
      throw new ModelError('INVALID_BUNDLE', `${model.file}: there is no layer ${name} to answer with`)
    const node = answerOf(model, layer)
    if (node === undefined)
      throw unsupported(
        layer,
        `is applied ${layer.applications.length} times, which leaves open which answer is wanted`,
      )
    return lower({ layer: name, node, tensor: 0 })
  })
  return graph.finish([...inputs, ...masks], wanted)
}

/** The application whose output has the layer's name: the one that is an output of the model, or the only one. */
function answerOf(model: LayersModel, layer: Layer): number | undefined {
  const own = model.outputs.find((output) => output.layer === layer.name)
  return own?.node ?? (layer.applications.length === 1 ? 0 : undefined)
}

function layerOf(model: LayersModel, name: string): Layer {
  const layer = model.layers.get(name)
  if (layer === undefined) throw new ModelError('INVALID_BUNDLE', `${model.file}: there is no layer ${name}`)
  return layer
}

function inputOf(layer: Layer): Value {
  const { batch_input_shape: shape, dtype } = layer.config
  if (!Array.isArray(shape) || !shape.slice(1).every((side) => Number.isInteger(side) && side > 0))
    throw unsupported(layer, `the shape ${JSON.stringify(shape)} is not supported`)
  if (dtype !== 'float32' && dtype !== 'int32') throw unsupported(layer, `the dtype ${dtype} is not supported`)
  return { name: layer.name, dtype, dims: shape.slice(1) }
}

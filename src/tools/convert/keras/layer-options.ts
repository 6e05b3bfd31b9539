import type { ModelError } from '../../../base/errors.ts'
import type { KerasLayer } from '../../../schemas/import.ts'
import { isObject } from '../../../schemas/json.ts'
import { type Config, knownActivations } from './operations.ts'

export interface LayerOptions {
  config: Config
  /** Shape of a row; only for an input. */
  inputDims?: number[]
}

type Refuse = (what: string) => ModelError

/**
 * Converts a layer's options to those of TensorFlow.js, for the supported classes. Only options that matter for
 * inference are kept, and no code in a file is ever run.
 */
export function layerOptions({ class_name: className, config }: KerasLayer, refuse: Refuse): LayerOptions {
  if (className === 'InputLayer') return inputOptions(config, refuse)
  if (['Lambda', 'TFOpLambda', 'SlicingOpLambda'].includes(className))
    throw refuse('contains code, which is never run; use ordinary layers instead')
  if (['Functional', 'Model', 'Sequential'].includes(className))
    throw refuse('is a nested model, which is not supported; build one graph of all layers')
  if (!Object.hasOwn(known, className)) throw refuse('this class of layer is not supported')
  const dtype = nameOf(config.dtype)
  if (dtype !== undefined && dtype !== 'float32') throw refuse(`computes in ${dtype}; only float32 is supported`)
  return { config: known[className]!(config, refuse) }
}

const nothing = () => ({})

const known: Record<string, (config: Config, refuse: Refuse) => Config> = {
  Activation: (config, refuse) => ({ activation: activationOf(config, refuse) }),
  Add: nothing,
  Average: nothing,
  BatchNormalization: (config, refuse) => ({
    axis: Array.isArray(config.axis) ? config.axis[0] : (config.axis ?? -1),
    epsilon: numberOf(config, 'epsilon', refuse, 1e-3),
    center: config.center !== false,
    scale: config.scale !== false,
    ...(config.renorm === true ? fail(refuse, 'renorm is not supported') : {}),
  }),
  Concatenate: ({ axis }) => ({ axis: axis ?? -1 }),
  Dense: (config, refuse) => ({
    units: countOf(config, 'units', refuse),
    activation: activationOf(config, refuse),
    use_bias: config.use_bias !== false,
    ...(config.lora_rank ? fail(refuse, 'lora_rank is not supported: merge the weights first') : {}),
    ...(config.quantization_config ? fail(refuse, 'quantised layers are not supported') : {}),
  }),
  Dot: ({ axes, normalize }, refuse) => (normalize ? fail(refuse, 'normalize is not supported') : { axes }),
  Dropout: (config, refuse) => ({ rate: numberOf(config, 'rate', refuse, 0) }),
  Embedding: (config, refuse) => ({
    input_dim: countOf(config, 'input_dim', refuse),
    output_dim: countOf(config, 'output_dim', refuse),
    ...(config.mask_zero
      ? fail(refuse, 'mask_zero is not supported: save the model with model.export, and use multigate init')
      : {}),
    ...(config.lora_rank ? fail(refuse, 'lora_rank is not supported: merge the weights first') : {}),
  }),
  Flatten: (config, refuse) => channelsLast(config, refuse),
  GlobalAveragePooling1D: (config, refuse) =>
    config.keepdims ? fail(refuse, 'keepdims is not supported') : channelsLast(config, refuse),
  Maximum: nothing,
  Multiply: nothing,
  ReLU: ({ max_value: most, negative_slope: slope, threshold }, refuse) => {
    if (slope || threshold) throw refuse('a negative slope or a threshold is not supported')
    if (most !== null && most !== undefined && typeof most !== 'number') throw refuse('max_value is not a number')
    return { max_value: most ?? null }
  },
  Reshape: ({ target_shape: target }, refuse) => {
    if (!Array.isArray(target) || !target.every((side) => side === null || Number.isInteger(side)))
      throw refuse(`the target shape ${JSON.stringify(target)} is not supported`)
    return { target_shape: target }
  },
  Softmax: ({ axis }) => ({ axis: Array.isArray(axis) ? axis[0] : (axis ?? -1) }),
}

function inputOptions({ batch_shape, batch_input_shape, dtype, sparse, ragged }: Config, refuse: Refuse): LayerOptions {
  const shape = batch_shape ?? batch_input_shape
  if (sparse === true || ragged === true) throw refuse('sparse and ragged inputs are not supported')
  if (!Array.isArray(shape) || !shape.slice(1).every((side) => Number.isSafeInteger(side) && side > 0))
    throw refuse(
      `the shape ${JSON.stringify(shape)} is not supported: all dimensions except the batch must be fixed; for lists of any length, save the model with model.export, and use multigate init`,
    )
  const name = nameOf(dtype) ?? 'float32'
  if (!/^(?:u?int(?:8|16|32|64)|float(?:16|32|64))$/.test(name)) throw refuse(`the dtype ${name} is not supported`)
  return { config: {}, inputDims: shape.slice(1) }
}

function channelsLast({ data_format: format }: Config, refuse: Refuse): Config {
  if (format === 'channels_first') throw refuse('channels_first is not supported')
  return {}
}

/** A name, or the name within Keras 3's description of a function or policy. */
function nameOf(written: unknown): string | undefined {
  if (typeof written === 'string') return written
  if (!isObject(written)) return undefined
  return typeof written.config === 'string'
    ? written.config
    : isObject(written.config)
      ? String(written.config.name)
      : ''
}

function activationOf({ activation }: Config, refuse: Refuse): string {
  const name = activation === null || activation === undefined ? 'linear' : nameOf(activation)
  if (name === undefined || !knownActivations.includes(name))
    throw refuse(`the activation ${JSON.stringify(name ?? activation)} is not supported`)
  return name
}

function countOf(config: Config, name: string, refuse: Refuse): number {
  const value = config[name]
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > 2 ** 31 - 1)
    throw refuse(`${name} must be a positive integer, not ${JSON.stringify(value)}`)
  return value as number
}

function numberOf(config: Config, name: string, refuse: Refuse, otherwise: number): number {
  const value = config[name] ?? otherwise
  if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse(`${name} is not a number`)
  return value
}

function fail(refuse: Refuse, what: string): never {
  throw refuse(what)
}

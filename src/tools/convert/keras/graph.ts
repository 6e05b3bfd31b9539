import type { TSchema } from 'typebox'
import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import type { TensorReference } from '../../../model/graph/lower/layers/layers-model.ts'
import { checkFormat } from '../../../model/graph/lower/read-file.ts'
import { KerasGraph, type KerasLayer, type KerasObject } from '../../../schemas/import.ts'
import { isObject } from '../../../schemas/json.ts'
import { layerOptions } from './layer-options.ts'
import { type Operation, operations } from './operations.ts'

/** A key of an application of a layer. */
export const applicationKey = ({ layer, node }: Pick<TensorReference, 'layer' | 'node'>) => `${node} ${layer}`

/** One application of a layer. */
export interface Step {
  layer: GraphLayer
  node: number
  inputs: TensorReference[]
  dims: number[]
}

export interface GraphLayer {
  name: string
  className: string
  /** Only the options of a TensorFlow.js layer of that class. */
  config: Record<string, unknown>
  /** Undefined for an input. */
  operation: Operation | undefined
  applications: TensorReference[][]
  /** Shape of a row, for an input. */
  inputDims: number[] | undefined
}

/** A checked functional or sequential Keras model: every layer is supported, and every shape fits. */
export interface KerasModel {
  file: string
  name: string
  /** In the order in which Keras stores weights. */
  layers: GraphLayer[]
  inputs: GraphLayer[]
  outputs: TensorReference[]
  /** Applications that the outputs need, each after its inputs. */
  steps: Step[]
  dimsOf(reference: TensorReference): number[]
}

/** Deepest chain of layers: lowering a graph recurses along chains. */
const mostDeep = 1_000
/** Most numbers that all layers together compute for one row: thousands of times the need of a ranking model. */
const mostNumbers = 2 ** 24

/**
 * Reads the graph of a functional or a sequential model.
 *
 * Throws INVALID_BUNDLE, naming the file and the place, if it is malformed or a layer depends on itself, and
 * UNSUPPORTED_GRAPH, naming the layer and its class, if a layer or its use is not supported.
 */
export function readGraph(model: KerasObject, file: string): KerasModel {
  const { name = 'model', layers: written, ...ends } = check(KerasGraph, model.config, file)
  const sequential = model.class_name === 'Sequential'
  const layers = sequential ? chain(written, file) : written.map((layer) => layerOf(layer, file))
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  const twice = layers.find((layer) => byName.get(layer.name) !== layer)
  if (twice) throw invalid(file, `two layers are named ${twice.name}`)
  const inputs = inOrder(
    layers.filter(({ operation }) => operation === undefined),
    sequential || ends.input_layers === undefined
      ? []
      : referencesOf(ends.input_layers, `${file}: /config/input_layers`),
  )
  const outputs = sequential
    ? [{ layer: layers.at(-1)!.name, node: 0, tensor: 0 }]
    : referencesOf(ends.output_layers, `${file}: /config/output_layers`)
  const steps = order(byName, outputs, file)
  const dims = new Map(steps.map(({ layer, node, dims }) => [`${node} ${layer.name}`, dims]))
  const read = new Set(steps.map(({ layer }) => layer))
  return {
    file,
    name,
    layers,
    inputs: inputs.filter((input) => read.has(input)),
    outputs,
    steps,
    dimsOf: (reference) => dims.get(applicationKey(reference))!,
  }
}

export function check<T extends TSchema>(schema: T, value: unknown, file: string) {
  return checkFormat(schema, value, file, 'is not a supported Keras model')
}

export function unsupported({ name, className }: { name: string; className: string }, file: string, what: string) {
  return new ModelError('UNSUPPORTED_GRAPH', `${file}: layer ${name} (${className}): ${what}`)
}

function layerOf(written: KerasLayer, file: string): GraphLayer {
  const name = written.name ?? String(written.config.name ?? '')
  const className = written.class_name
  if (name === '') throw invalid(file, `a layer of class ${className} has no name`)
  const refuse = (what: string) => unsupported({ name, className }, file, what)
  const { config, inputDims } = layerOptions(written, refuse)
  return {
    name,
    className,
    config: { ...config, name },
    operation: inputDims === undefined ? operations[className]! : undefined,
    applications: inboundOf(written.inbound_nodes ?? [], refuse),
    inputDims,
  }
}

/** Inputs in the model's order; unlisted ones come last. */
function inOrder(inputs: GraphLayer[], listed: TensorReference[]): GraphLayer[] {
  const places = new Map(listed.map(({ layer }, place) => [layer, place]))
  const placeOf = ({ name }: GraphLayer) => places.get(name) ?? listed.length
  return inputs.sort((a, b) => placeOf(a) - placeOf(b))
}

/**
 * A sequential model's layers, each reading the previous one; without an input layer, the first layer has the shape.
 */
function chain(written: KerasLayer[], file: string): GraphLayer[] {
  const [first] = written
  const shape = first!.config.batch_input_shape ?? first!.config.batch_shape
  const input = { class_name: 'InputLayer', config: { name: 'input', batch_input_shape: shape, dtype: 'float32' } }
  const withInput = first!.class_name === 'InputLayer' ? written : [input, ...written]
  const layers = withInput.map((layer) => layerOf(layer, file))
  layers.forEach((layer, i) => {
    layer.applications = i === 0 ? [] : [[{ layer: layers[i - 1]!.name, node: 0, tensor: 0 }]]
  })
  return layers
}

/** Applications that the outputs need, each after its inputs. */
function order(layers: Map<string, GraphLayer>, outputs: TensorReference[], file: string): Step[] {
  const done = new Map<string, Step & { depth: number }>()
  const open = new Set<string>()
  let numbers = 0
  // Iterative, because a chain may be as long as the file.
  const stack = [...outputs].reverse()
  while (stack.length > 0) {
    const reference = stack.at(-1)!
    const key = applicationKey(reference)
    if (done.has(key)) {
      stack.pop()
      continue
    }
    const { layer, inputs } = find(layers, reference, file)
    const waiting = inputs.filter((input) => !done.has(applicationKey(input)))
    if (waiting.length > 0) {
      const cyclic = open.has(key) || waiting.some((input) => open.has(applicationKey(input)))
      if (cyclic) throw invalid(file, `the layer ${layer.name} depends on itself`)
      open.add(key)
      for (const input of waiting) stack.push(input)
      continue
    }
    const depth = Math.max(0, ...inputs.map((input) => done.get(applicationKey(input))!.depth)) + 1
    if (depth > mostDeep) throw unsupported(layer, file, `ends a chain of more than ${mostDeep} layers`)
    const dims = dimsOf(
      layer,
      inputs.map((input) => done.get(applicationKey(input))!.dims),
      file,
    )
    numbers += product(dims)
    if (numbers > mostNumbers)
      throw unsupported(layer, file, `the layers up to here compute more than ${mostNumbers} numbers per row`)
    done.set(key, { layer, node: reference.node, inputs, dims, depth })
    open.delete(key)
    stack.pop()
  }
  return [...done.values()].map(({ depth: _, ...step }) => step)
}

function find(layers: Map<string, GraphLayer>, { layer: name, node, tensor }: TensorReference, file: string) {
  const layer = layers.get(name)
  if (layer === undefined) throw invalid(file, `a layer reads ${JSON.stringify(name)}, which does not exist`)
  if (tensor !== 0) throw unsupported(layer, file, 'several outputs are not supported')
  const inputs = layer.operation === undefined && node === 0 ? [] : layer.applications[node]
  if (inputs === undefined) throw invalid(file, `a layer reads application ${node} of ${name}, which does not exist`)
  return { layer, inputs }
}

function dimsOf({ operation, config, inputDims, ...layer }: GraphLayer, inputs: number[][], file: string): number[] {
  if (operation === undefined) return inputDims!
  if (inputs.length === 0) throw unsupported(layer, file, 'has no inputs')
  try {
    return operation.dims(inputs, config)
  } catch (cause) {
    throw unsupported(layer, file, (cause as Error).message)
  }
}

export function invalid(file: string, message: string): ModelError {
  return new ModelError('INVALID_BUNDLE', `${file}: ${message}`)
}

/**
 * Reads the inputs or outputs of a model: one reference `[layer, node, tensor]`, or a list or dictionary of them, in
 * order. Throws INVALID_BUNDLE, naming `where`.
 */
export function referencesOf(written: unknown, where: string): TensorReference[] {
  const found = references(written)
  if (found === undefined || found.length === 0)
    throw new ModelError('INVALID_BUNDLE', `${where} must be references to layers`)
  return found
}

/**
 * Reads the inputs of each application of a layer: Keras 2 lists `[layer, node, tensor, arguments]`, Keras 3 has
 * `{args: [tensor or tensors], kwargs}`. Arguments with a value are refused, because none is supported.
 */
export function inboundOf(nodes: unknown[], refuse: (what: string) => ModelError): TensorReference[][] {
  return nodes.map((node) => {
    if (!isObject(node)) {
      const found = references(node)
      if (found === undefined) throw refuse(`reads ${shorten(node)}, which is not the output of a layer`)
      for (const part of flat(node)) refuseArguments(part[3], refuse)
      return found
    }
    const args = Array.isArray(node.args) ? node.args : []
    refuseArguments(node.kwargs, refuse)
    if (args.slice(1).some((arg) => arg !== null)) throw refuse('is called with additional arguments')
    return tensors(args[0], refuse)
  })
}

function tensors(written: unknown, refuse: (what: string) => ModelError): TensorReference[] {
  return (Array.isArray(written) ? written : [written]).map((tensor) => {
    const history = isObject(tensor) && isObject(tensor.config) ? tensor.config.keras_history : undefined
    const [found] = references(history) ?? []
    if (found === undefined) throw refuse(`reads ${shorten(tensor)}, which is not the output of a layer`)
    return found
  })
}

/** Unused arguments, such as `training` and `mask`, are null or false. */
function refuseArguments(written: unknown, refuse: (what: string) => ModelError): void {
  if (written === undefined || written === null) return
  const used = isObject(written) ? Object.entries(written).filter(([, value]) => value !== null && value !== false) : []
  if (!isObject(written) || used.length > 0)
    throw refuse(`is called with ${used.map(([name]) => name).join(', ') || shorten(written)}, which is not supported`)
}

function references(written: unknown): TensorReference[] | undefined {
  const found = flat(written).map(([layer, node, tensor]) =>
    typeof layer === 'string' && isIndex(node) && isIndex(tensor) ? { layer, node, tensor } : undefined,
  )
  return found.every((reference) => reference !== undefined) ? found : undefined
}

/** `[name, 0, 0]` itself, or those in a list or dictionary. */
function flat(written: unknown): unknown[][] {
  if (isObject(written)) return Object.values(written).map((part) => (Array.isArray(part) ? part : []))
  if (!Array.isArray(written)) return [[]]
  return typeof written[0] === 'string' ? [written] : written.map((part) => (Array.isArray(part) ? part : []))
}

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const shorten = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 80)

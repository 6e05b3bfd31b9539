import { ModelError } from '../../../base/errors.ts'
import { nth } from '../../../model/graph/architectures/keras-class.ts'
import { type GraphLayer, invalid, type KerasModel } from './graph.ts'
import type { Hdf5File, Tensor } from './hdf5.ts'

/** The weights of each layer, by their names in its operation. */
export type LayerWeights = Map<string, Record<string, Tensor>>

/**
 * Finds the weights of a functional or sequential model's layers. A `.weights.h5` stores them by the layer's class and
 * its index within that class; a legacy file lists them by the layer's name.
 *
 * Throws INVALID_BUNDLE, naming file, path, expected and actual shape, for a weight that is missing, unexpected or of
 * the wrong shape.
 */
export function layerWeights(model: KerasModel, weights: Hdf5File, below = ''): LayerWeights {
  const { file, tensors, attributes } = weights
  const legacy = attributes.get(below)?.layer_names !== undefined
  const read = new Map(model.steps.map(({ layer, node, inputs }) => [layer, { node, inputs }]))
  const taken = new Set<string>()
  const counts = new Map<string, number>()
  const found: LayerWeights = new Map()
  for (const layer of model.layers) {
    const kind = snakeCase(layer.className)
    const place = counts.get(kind) ?? 0
    counts.set(kind, place + 1)
    const group = legacy ? `${below === '' ? '' : `${below}/`}${layer.name}` : `layers/${nth(kind, place)}`
    const pathOf = (index: number) =>
      legacy ? `${group}/${attributes.get(group)?.weight_names?.[index] ?? index}` : `${group}/vars/${index}`
    const use = read.get(layer)
    if (use === undefined) {
      // No output needs this layer.
      for (const path of tensors.keys()) if (path.startsWith(`${group}/`)) taken.add(path)
      continue
    }
    const expected = layer.operation?.weights?.(use.inputs.map(model.dimsOf), layer.config) ?? []
    const own: Record<string, Tensor> = {}
    expected.forEach(([name, shape], index) => {
      const path = pathOf(index)
      own[name] = tensorAt(weights, path, shape, layer, name)
      taken.add(path)
    })
    found.set(layer.name, own)
  }
  const prefix = below === '' ? '' : `${below}/`
  for (const [path, { shape }] of tensors)
    if (path.startsWith(prefix) && !taken.has(path))
      throw invalid(file, `/${path} [${shape}] is unexpected: no layer of config.json has it`)
  return found
}

function tensorAt({ file, tensors }: Hdf5File, path: string, shape: number[], layer: GraphLayer, name: string): Tensor {
  const tensor = tensors.get(path)
  const what = `${name} [${shape}] of layer ${layer.name} (${layer.className})`
  if (tensor === undefined) throw new ModelError('INVALID_BUNDLE', `${file} lacks /${path}, ${what}`)
  if (tensor.shape.join() !== shape.join())
    throw new ModelError('INVALID_BUNDLE', `${file}: /${path} has the shape [${tensor.shape}], not ${what}`)
  return tensor
}

/** `GlobalAveragePooling1D` → `global_average_pooling1d`, `ReLU` → `re_lu`: as in Keras. */
export function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
}

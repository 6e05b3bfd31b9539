import { product } from '../../../../base/arrays.ts'
import { axisOf, type Lowering, only, unsupported } from './layer-rules.ts'

/** [B, a, b, …] → [B, a·b·…] */
export const lowerFlatten: Lowering = (application) => {
  const { layer, output, node } = application
  const input = only(application)
  if (layer.config.data_format === 'channels_first') throw unsupported(layer, 'channels_first is not supported')
  node('Flatten', [input.name], output, { axis: 1 })
  return { ...input, name: output, dims: [product(input.dims)] }
}

/**
 * [B, …] → [B, …target_shape], which may be empty, and where one dimension may be −1 or null: the remaining elements.
 */
export const lowerReshape: Lowering = (application) => {
  const { layer, output, node, integers } = application
  const input = only(application)
  const shape = layer.config.target_shape
  const target = Array.isArray(shape) ? shape.map((side) => side ?? -1) : []
  const size = product(input.dims)
  const known = product(target.filter((side) => side !== -1))
  const dims: number[] = target.map((side) => (side === -1 ? size / known : side))
  if (!Array.isArray(shape) || !dims.every((side) => Number.isInteger(side) && side > 0) || product(dims) !== size)
    throw unsupported(layer, `[${input.dims}] can't take the shape ${JSON.stringify(shape)}`)
  // In ONNX 0 keeps a dimension: the batch.
  node('Reshape', [input.name, integers([0, ...dims])], output)
  return { ...input, name: output, dims }
}

/** [B, n, w] → [B, w]: the mean over n. */
export const lowerGlobalAveragePooling1D: Lowering = (application) => {
  const { layer, output, node } = application
  const input = only(application, 2)
  if (layer.config.data_format === 'channels_first') throw unsupported(layer, 'channels_first is not supported')
  node('ReduceMean', [input.name], output, { axes: [1], keepdims: 0 })
  return { ...input, name: output, dims: [input.dims[1]!] }
}

/**
 * [B, h, w, c] → [B, h', w', c]: `cropping` [[top, bottom], [left, right]]. If the remaining elements are contiguous,
 * they are one slice of the flattened row, whose columns can be followed to their inputs.
 */
export const lowerCropping2D: Lowering = (application) => {
  const { layer, graph, output, node, integers } = application
  const input = only(application, 3)
  const margins = marginsOf(layer.config.cropping)
  if (layer.config.data_format === 'channels_first') throw unsupported(layer, 'channels_first is not supported')
  const [height, width, depth] = input.dims as [number, number, number]
  const [[top, bottom], [left, right]] = margins ?? [[-1], [-1]]
  const dims = [height - top! - bottom!, width - left! - right!, depth]
  if (margins === undefined || !dims.every((side) => side > 0))
    throw unsupported(layer, `can't crop [${input.dims}] by ${JSON.stringify(layer.config.cropping)}`)

  const name = (operator: string) => graph.fresh(`${output}:${operator}`)
  const slice = (source: string, starts: number[], ends: number[], axes: number[], to: string) =>
    node('Slice', [source, integers(starts), integers(ends), integers(axes)], to)
  if (dims[0] === 1 || dims[1] === width) {
    const row = node('Flatten', [input.name], name('Flatten'), { axis: 1 }) // [B, h·w·c]
    const start = (top! * width + left!) * depth
    const cut = slice(row, [start], [start + product(dims)], [1], name('Slice')) // [B, h'·w'·c]
    node('Reshape', [cut, integers([0, ...dims])], output)
  } else slice(input.name, [top!, left!], [top! + dims[0]!, left! + dims[1]!], [1, 2], output)
  return { ...input, name: output, dims }
}

/** Keras writes one number for all margins, one per dimension, or a pair per dimension. */
function marginsOf(cropping: unknown): [[number, number], [number, number]] | undefined {
  const sides = Array.isArray(cropping) ? cropping : [cropping, cropping]
  const pairs = sides.map((side) => (Array.isArray(side) ? side : [side, side]))
  const sound =
    pairs.length === 2 &&
    pairs.every((pair) => pair.length === 2 && pair.every((margin) => Number.isInteger(margin) && margin >= 0))
  return sound ? (pairs as [[number, number], [number, number]]) : undefined
}

/** Concatenates tensors that differ only along `axis`. */
export const lowerConcatenate: Lowering = ({ layer, inputs, output, node }) => {
  const [first] = inputs
  if (first === undefined) throw unsupported(layer, 'has no inputs')
  const axis = axisOf(layer, layer.config.axis ?? -1, first.dims.length + 1)
  const fits = inputs.every(
    ({ dims, dtype }) =>
      dtype === first.dtype &&
      dims.length === first.dims.length &&
      dims.every((side, i) => i === axis - 1 || side === first.dims[i]),
  )
  if (!fits) throw unsupported(layer, `can't concatenate ${inputs.map(({ dims }) => `[${dims}]`).join(', ')}`)
  const names = inputs.map(({ name }) => name)
  node('Concat', names, output, { axis })
  const width = inputs.reduce((sum, { dims }) => sum + dims[axis - 1]!, 0)
  return { name: output, dtype: first.dtype, dims: first.dims.with(axis - 1, width) }
}

import { axisOf, type Lowering, only, unsupported } from './lowering.ts'

const product = (dims: number[]) => dims.reduce((size, side) => size * side, 1)

/** [B, a, b, …] → [B, a·b·…] */
export const lowerFlatten: Lowering = (application) => {
  const { layer, graph, output } = application
  const input = only(application)
  if (layer.config.data_format === 'channels_first') throw unsupported(layer, 'channels_first is not supported')
  graph.node('Flatten', [input.name], output, { axis: { int: 1 } })
  return { ...input, name: output, dims: [product(input.dims)] }
}

/** [B, …] → [B, …target_shape], of which one side may be open, −1 or null: whatever is left. */
export const lowerReshape: Lowering = (application) => {
  const { layer, graph, output } = application
  const input = only(application)
  const shape = layer.config.target_shape
  const target = Array.isArray(shape) ? shape.map((side) => side ?? -1) : []
  const size = product(input.dims)
  const known = product(target.filter((side) => side !== -1))
  const dims: number[] = target.map((side) => (side === -1 ? size / known : side))
  if (dims.length === 0 || !dims.every((side) => Number.isInteger(side) && side > 0) || product(dims) !== size)
    throw unsupported(layer, `[${input.dims}] can't take the shape ${JSON.stringify(shape)}`)
  // In ONNX a side of 0 stays as it is: the batch.
  graph.node('Reshape', [input.name, graph.integers([0, ...dims])], output)
  return { ...input, name: output, dims }
}

/** [B, n, w] → [B, w]: the mean over n. */
export const lowerGlobalAveragePooling1D: Lowering = (application) => {
  const { layer, graph, output } = application
  const input = only(application, 2)
  if (layer.config.data_format === 'channels_first') throw unsupported(layer, 'channels_first is not supported')
  graph.node('ReduceMean', [input.name], output, { axes: { ints: [1] }, keepdims: { int: 0 } })
  return { ...input, name: output, dims: [input.dims[1]!] }
}

/** Tensors alike but along `axis` → side by side. */
export const lowerConcatenate: Lowering = ({ layer, inputs, graph, output }) => {
  const [first] = inputs
  if (first === undefined) throw unsupported(layer, 'has no inputs')
  const axis = axisOf(layer, layer.config.axis ?? -1, first.dims.length + 1)
  const fits = inputs.every(
    ({ dims, dtype }) =>
      dtype === first.dtype &&
      dims.length === first.dims.length &&
      dims.every((side, i) => i === axis - 1 || side === first.dims[i]),
  )
  if (!fits) throw unsupported(layer, `can't join ${inputs.map(({ dims }) => `[${dims}]`).join(', ')}`)
  const names = inputs.map(({ name }) => name)
  graph.node('Concat', names, output, { axis: { int: axis } })
  const joined = inputs.reduce((sum, { dims }) => sum + dims[axis - 1]!, 0)
  return { name: output, dtype: first.dtype, dims: first.dims.with(axis - 1, joined) }
}

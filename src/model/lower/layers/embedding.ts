import { type Lowering, only, unsupported } from './layer-lowering.ts'

/** Ids [B, …] → rows of the table [B, …, d]. */
export const lowerEmbedding: Lowering = (application) => {
  const { layer, graph, output, weight } = application
  const { input_dim: ids, output_dim: width, mask_zero: masked } = layer.config
  const input = only(application)
  if (masked) throw unsupported(layer, 'mask_zero is not supported')
  if (typeof ids !== 'number' || typeof width !== 'number') throw unsupported(layer, 'has no sizes')

  // Float ids are cut to integers, as TensorFlow.js does. 6 is ONNX' number for int32.
  const indices =
    input.dtype === 'int32'
      ? input.name
      : graph.node('Cast', [input.name], graph.fresh(`${output}:ids`), { to: { int: 6 } }) // [B, …]
  const table = weight('embeddings', [ids, width]) // [ids, d]
  graph.node('Gather', [table, indices], output, { axis: { int: 0 } }) // [B, …, d]
  return { name: output, dtype: 'float32', dims: [...input.dims, width] }
}

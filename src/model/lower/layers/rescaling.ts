import { type Lowering, only, unsupported } from './layer-lowering.ts'

/** x · scale + offset, element by element. */
export const lowerRescaling: Lowering = ({ layer, graph, output, ...application }) => {
  const { scale, offset = 0 } = layer.config
  const input = only({ layer, graph, output, ...application })
  if (typeof scale !== 'number' || typeof offset !== 'number')
    throw unsupported(layer, 'scale and offset are supported as numbers alone')
  if (input.dtype !== 'float32') throw unsupported(layer, `is supported on float32, not ${input.dtype}`)
  const constant = (name: string, value: number) =>
    graph.constant(`${output}:${name}`, 'float32', [], new Uint8Array(Float32Array.of(value).buffer))
  const product = offset === 0 ? output : graph.fresh(`${output}:Mul`)
  graph.node('Mul', [input.name, constant('scale', scale)], product)
  if (offset !== 0) graph.node('Add', [product, constant('offset', offset)], output)
  return { ...input, name: output }
}

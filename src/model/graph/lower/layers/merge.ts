import { type Application, axisOf, type Lowering, unsupported, type Value } from './layer-rules.ts'

/** Element by element over any number of inputs, in pairs where ONNX' operator takes two. */
export const lowerAdd: Lowering = (application) => inPairs(application, 'Add')
export const lowerMultiply: Lowering = (application) => inPairs(application, 'Mul')
export const lowerAverage: Lowering = (application) => together(application, 'Mean')
export const lowerMaximum: Lowering = (application) => together(application, 'Max')

/**
 * Batch-wise product over one dimension of each: [B, …] · [B, …] → [B, …rest of the first, …rest of the second].
 *
 * As TensorFlow.js has it: a tensor of rank 2 counts as a matrix of one column.
 */
export const lowerDot: Lowering = (application) => {
  const { layer, inputs, graph, output, node, integers } = application
  const [x, y] = inputs
  if (x === undefined || y === undefined || inputs.length !== 2) throw unsupported(layer, 'takes two inputs')
  if (layer.config.normalize) throw unsupported(layer, 'normalize is not supported')
  for (const { dims } of inputs)
    if (dims.length < 1 || dims.length > 2) throw unsupported(layer, 'is supported on inputs of rank 2 and 3')
  const { axes } = layer.config
  const [xAxis, yAxis] = Array.isArray(axes) ? axes : [axes, axes]
  const over = axisOf(layer, xAxis, x.dims.length + 1) - 1
  const under = axisOf(layer, yAxis, y.dims.length + 1) - 1
  if (x.dims[over] !== y.dims[under]) throw unsupported(layer, `can't multiply [${x.dims}] by [${y.dims}] over ${axes}`)

  const left = matrix(application, x, over, 'last') // [B, m, k]
  const right = matrix(application, y, under, 'first') // [B, k, n]
  // Nothing is left of a vector; two vectors leave [B, 1].
  const drop = x.dims.length === 1 ? [1] : y.dims.length === 1 ? [2] : []
  if (drop.length === 0)
    node('MatMul', [left, right], output) // [B, m, n]
  else {
    const product = node('MatMul', [left, right], graph.fresh(`${output}:MatMul`)) // [B, m, n]
    node('Squeeze', [product, integers(drop)], output) // [B, n] or [B, m]
  }
  const rest = [...x.dims.toSpliced(over, 1), ...y.dims.toSpliced(under, 1)]
  return { name: output, dtype: 'float32', dims: rest.length === 0 ? [1] : rest }
}

/** `value` as a matrix per row of the batch whose first or last side is its dimension `axis`. */
function matrix(
  { graph, output, node, integers }: Application,
  value: Value,
  axis: number,
  side: 'first' | 'last',
): string {
  const name = (operator: string) => graph.fresh(`${output}:${value.name}:${operator}`)
  if (value.dims.length === 1)
    return node('Unsqueeze', [value.name, integers([side === 'last' ? 1 : 2])], name('Unsqueeze'))
  if (axis === (side === 'last' ? 1 : 0)) return value.name
  return node('Transpose', [value.name], name('Transpose'), { perm: [0, 2, 1] })
}

function inPairs(application: Application, operator: string): Value {
  const { inputs, graph, output, node } = application
  const dims = broadcast(application)
  let result = inputs[0]!.name
  for (const [i, { name }] of inputs.entries()) {
    if (i === 0) continue
    const last = i === inputs.length - 1
    result = node(operator, [result, name], last ? output : graph.fresh(`${output}:${operator}`))
  }
  return { name: output, dtype: inputs[0]!.dtype, dims }
}

function together(application: Application, operator: string): Value {
  const { inputs, output, node } = application
  const dims = broadcast(application)
  const names = inputs.map(({ name }) => name)
  node(operator, names, output)
  return { name: output, dtype: inputs[0]!.dtype, dims }
}

/** The common shape; sides of 1 repeat. */
function broadcast({ layer, inputs }: Application): number[] {
  const [first] = inputs
  if (first === undefined || inputs.length < 2) throw unsupported(layer, 'takes two inputs or more')
  return first.dims.map((_, i) => {
    const sides = new Set(inputs.map(({ dims }) => dims[i]).filter((side) => side !== 1))
    const alike = inputs.every(({ dims, dtype }) => dims.length === first.dims.length && dtype === first.dtype)
    if (!alike || sides.size > 1)
      throw unsupported(layer, `can't merge ${inputs.map(({ dims }) => `[${dims}]`).join(', ')}`)
    return [...sides][0] ?? 1
  })
}

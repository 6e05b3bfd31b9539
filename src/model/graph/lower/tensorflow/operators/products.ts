import { type Application, input, type Operator, ranked } from '../application.ts'
import { boolOf, broadcast, floatOf, type Side, textOf, textsOf, type Value } from '../value.ts'
import { activate } from './elementwise.ts'

const matMul: Operator = (application) => {
  const { attr } = application.node
  const [a, b] = [input(application, 0), input(application, 1)]
  return product(application, a, b, boolOf(attr, 'transpose_a', false), boolOf(attr, 'transpose_b', false))
}

const batchMatMul: Operator = (application) => {
  const { attr } = application.node
  const [a, b] = [input(application, 0), input(application, 1)]
  return product(application, a, b, boolOf(attr, 'adj_x', false), boolOf(attr, 'adj_y', false))
}

/** [.., m, k]·[.., k, n], each optionally transposed. */
function product(application: Application, a: Value, b: Value, turnA: boolean, turnB: boolean): Value {
  if (a.type !== b.type) throw application.fail(`its inputs are ${a.type} and ${b.type}`)
  const [x, y] = [turnA ? turned(application, a) : a, turnB ? turned(application, b) : b]
  return application.emit('MatMul', [x, y], { type: x.type, dims: productDims(x.dims, y.dims) })
}

function productDims(a: readonly Side[] | undefined, b: readonly Side[] | undefined): Side[] | undefined {
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return undefined
  return [...(broadcast(a.slice(0, -2), b.slice(0, -2)) ?? []), a.at(-2), b.at(-1)]
}

/** Swaps the last two dimensions. */
function turned(application: Application, x: Value): Value {
  const rank = x.dims?.length
  if (x.dims === undefined || rank === undefined || rank < 2)
    throw application.fail('the rank of a matrix is not known')
  const perm = [...x.dims.keys()]
  perm.splice(rank - 2, 2, rank - 1, rank - 2)
  const dims = perm.map((axis) => x.dims![axis])
  return application.emit('Transpose', [x], { type: x.type, dims }, { perm })
}

/** A product, a bias and an activation, fused by TensorFlow's optimiser. */
const fusedMatMul: Operator = (application) => {
  const { attr } = application.node
  let result = matMul(application) as Value
  let next = 2
  for (const name of textsOf(attr, 'fused_ops')) {
    if (name === 'BiasAdd') {
      const bias = input(application, next++)
      result = application.emit('Add', [result, bias], { type: result.type, dims: broadcast(result.dims, bias.dims) })
    } else result = activate(application, name, result)
  }
  return result
}

const einsum: Operator = (application) => {
  const equation = textOf(application.node.attr, 'equation', '').replaceAll(' ', '')
  const [left, right] = equation.split('->')
  if (left === undefined || right === undefined) throw application.fail(`the equation ${equation} is not supported`)
  const [first] = application.inputs
  if (first === undefined) throw application.fail('has no inputs')
  const sides = new Map<string, Side>()
  left.split(',').forEach((letters, i) => {
    if (letters.includes('.')) return
    const { dims } = input(application, i)
    if (dims?.length !== letters.length) return
    for (const [at, letter] of [...letters].entries()) sides.set(letter, sides.get(letter) ?? dims[at])
  })
  const dims = right.includes('.') ? undefined : [...right].map((letter) => sides.get(letter))
  return application.emit('Einsum', application.inputs, { type: first.type, dims }, { equation })
}

/** (x − mean) / √(variance + ε) · scale + offset over the last dimension, as a Mul and an Add by vectors. */
const fusedBatchNorm: Operator = (application) => {
  const { attr } = application.node
  const [x, scale, offset, mean, variance] = [0, 1, 2, 3, 4].map((i) => input(application, i)) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ]
  if (boolOf(attr, 'is_training', true)) throw application.fail('normalises by the batch, as in training')
  if (textOf(attr, 'data_format', 'NHWC') !== 'NHWC' && ranked(application, 0).length > 2)
    throw application.fail('channels first are not supported')
  const { emit } = application
  const epsilon = application.scalar(variance.type, floatOf(attr, 'epsilon', 1e-4))
  const deviation = emit('Sqrt', [emit('Add', [variance, epsilon], variance)], variance)
  const factor = emit('Div', [scale, deviation], scale)
  const shift = emit('Sub', [offset, emit('Mul', [mean, factor], scale)], offset)
  const y = emit('Add', [emit('Mul', [x, factor], x), shift], x)
  return [y, mean, variance]
}

/** Over the last dimension. */
function overLast(opType: string): Operator {
  return (application) => {
    const x = input(application, 0)
    return application.emit(opType, [x], x, { axis: -1 })
  }
}

/** Products, and operators over an entire dimension. */
export const products: Record<string, Operator> = {
  MatMul: matMul,
  _FusedMatMul: fusedMatMul,
  BatchMatMul: batchMatMul,
  BatchMatMulV2: batchMatMul,
  BatchMatMulV3: batchMatMul,
  Einsum: einsum,
  FusedBatchNorm: fusedBatchNorm,
  FusedBatchNormV2: fusedBatchNorm,
  FusedBatchNormV3: fusedBatchNorm,
  Softmax: overLast('Softmax'),
  LogSoftmax: overLast('LogSoftmax'),
}

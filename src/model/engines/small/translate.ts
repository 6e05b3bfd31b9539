import { equal, product } from '../../../base/arrays.ts'
import { intAttribute } from '../../graph/ir/attributes.ts'
import { isPlain } from '../../graph/ir/gemm.ts'
import type { Graph } from '../../graph/ir/graph.ts'
import type { NodeProto } from '../../graph/ir/onnx_pb.ts'
import { cast, elementwise, softmax, unary } from './arithmetic.ts'
import { concat, gather, reshape, slice, split } from './layout.ts'
import type { Program, RowTensor } from './program.ts'
import { floats, NotSmall, Translation, type Translator } from './translation.ts'

/*
 * The nodes of a graph as steps over one row. A compiled graph has few kinds of nodes; one with another is left to ONNX
 * Runtime.
 */

/**
 * Adds a graph's nodes to a program. `inputs`: its inputs' tensors. Returns the tensor of `output`. Throws NotSmall.
 */
export function translate(
  graph: Graph,
  program: Program,
  inputs: ReadonlyMap<string, RowTensor>,
  output: string,
): RowTensor {
  const tensors = new Map(inputs)
  const translation = new Translation(graph, program, tensors)
  graph.tidy()
  for (const node of graph.nodes) {
    if (node.domain !== '') throw new NotSmall(`${node.opType} is no standard operator`)
    const add = operators[node.opType]
    if (add === undefined) throw new NotSmall(`${node.opType} is not computed one row at a time`)
    add(translation, node)
  }
  return translation.tensor(output)
}

const operators: Record<string, Translator> = {
  Abs: unary('Abs'),
  Add: elementwise((a, b) => a + b),
  Cast: cast,
  Concat: concat,
  Div: elementwise((a, b) => a / b),
  Exp: unary('Exp'),
  Flatten(t, node) {
    const from = t.tensor(node.input[0]!)
    if (intAttribute(node, 'axis', 1) !== 1) throw new NotSmall('Flatten joins rows')
    t.alias(node.output[0]!, from, [product(from.dims)])
  },
  Gather: gather,
  Gemm: gemm,
  Identity: (t, node) => t.alias(node.output[0]!, t.tensor(node.input[0]!)),
  Log: unary('Log'),
  MatMul: matMul,
  Mul: elementwise((a, b) => a * b),
  Neg: unary('Neg'),
  Relu(t, node) {
    if (t.relus.isTaken(node)) t.alias(node.output[0]!, t.tensor(node.input[0]!))
    else unary('Relu')(t, node)
  },
  Reshape: reshape,
  Sigmoid: unary('Sigmoid'),
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Sqrt: unary('Sqrt'),
  Sub: elementwise((a, b) => a - b),
  Tanh: unary('Tanh'),
}

/* Products: dense layers and mixtures. */

export function gemm(t: Translation, node: NodeProto): void {
  const [x, weights, bias] = node.input as [string, string, string | undefined]
  const from = floats(t.tensor(x), node)
  const { dims, values } = t.constant(weights)
  if (!isPlain(node) || from.dims.length !== 1) throw new NotSmall('Gemm with factors or transposed operands')
  const [k, n] = dims as [number, number]
  const added = bias ? t.constant(bias).values : new Float32Array(n)
  if (added.length !== n) throw new NotSmall('Gemm with a bias of another width')
  const at = { w: t.placed(weights, values), bias: bias ? t.placed(bias, added) : t.program.constant(added) }
  dense(t, node, [{ x: from.at, ...at }], k, [n])
}

interface DenseCall {
  x: number
  w: number
  bias: number
}

/**
 * Calls of the kernel, one after the other, whose outputs lie side by side; with the ReLU that follows them, if any.
 */
function dense(t: Translation, node: NodeProto, calls: DenseCall[], k: number, dims: number[]): void {
  const [name] = node.output as [string]
  const n = dims.at(-1)!
  const to = t.result(name, dims)
  const floor = t.relus.take(name) ? 0 : Number.NEGATIVE_INFINITY
  t.program.steps.push(({ denseRow }) => () => {
    let out = to.at
    for (const { x, w, bias } of calls) {
      denseRow(x, k, w, n, bias, floor, out)
      out += n * 4
    }
  })
}

/** By a constant [k, n], or, as a mixture of experts has it, of two tensors with the same leading dimensions. */
export function matMul(t: Translation, node: NodeProto): void {
  const [left, right] = node.input as [string, string]
  const a = floats(t.tensor(left), node)
  const k = a.dims.at(-1)!
  if (t.isConstant(right)) {
    const { dims, values } = t.constant(right)
    if (dims.length !== 2 || dims[0] !== k) throw new NotSmall(`MatMul by [${dims}]`)
    const n = dims[1]!
    const bias = t.program.constant(new Float32Array(n))
    const w = t.placed(right, values)
    const calls = Array.from({ length: product(a.dims.slice(0, -1)) }, (_, i) => ({ x: a.at + i * k * 4, w, bias }))
    dense(t, node, calls, k, [...a.dims.slice(0, -1), n])
    return
  }
  const b = floats(t.tensor(right), node)
  const [batch, g] = [a.dims.slice(0, -2), a.dims.at(-2)!]
  const n = b.dims.at(-1)!
  const fits = a.dims.length >= 2 && equal(b.dims.slice(0, -2), batch) && b.dims.at(-2) === k
  if (!fits) throw new NotSmall(`MatMul of [${a.dims}] and [${b.dims}]`)
  const bias = t.program.constant(new Float32Array(n))
  const calls = Array.from({ length: product(batch) * g }, (_, i) => ({
    x: a.at + i * k * 4,
    w: b.at + Math.floor(i / g) * k * n * 4,
    bias,
  }))
  dense(t, node, calls, k, [...batch, g, n])
}

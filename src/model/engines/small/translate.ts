import { product } from '../../base/dims.ts'
import { intAttribute } from '../../graph/attributes.ts'
import type { Graph } from '../../graph/graph.ts'
import { cast, elementwise, softmax, unary } from './arithmetic.ts'
import { concat, gather, reshape, slice, split } from './layout.ts'
import { gemm, matMul } from './products.ts'
import type { Program, RowTensor } from './program.ts'
import { NotSmall, Translation, type Translator } from './translation.ts'

/*
 * The nodes of a graph as steps over one row. A compiled graph has few kinds of nodes; one with another is left to ONNX Runtime.
 */

/** Adds a graph's nodes to a program. `inputs`: its inputs' tensors. Returns the tensor of `output`. Throws NotSmall. */
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

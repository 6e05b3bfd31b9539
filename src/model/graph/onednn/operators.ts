import { microsoft } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { add, cast, dequantizeLinear, elementwise, sigmoid, softmax, unary } from './arithmetic.ts'
import { matMulInteger, matMulIntegerToFloat, qGemm, quantizeLinear } from './bytes.ts'
import { NotTranslated } from './errors.ts'
import { concat, flatten, gather, reshape, slice, split } from './layout.ts'
import { gemm, matMul } from './products.ts'
import type { Translation, Translator } from './translation.ts'

/** Adds the steps of a node. Throws NotTranslated. */
export function translate(t: Translation, node: NodeProto): void {
  const add = (node.domain === '' ? operators : node.domain === microsoft ? contributed : {})[node.opType]
  if (add === undefined) throw new NotTranslated(`${node.opType} is not translated`)
  add(t, node)
}

/** Operators of ONNX Runtime's own. */
const contributed: Record<string, Translator> = { MatMulIntegerToFloat: matMulIntegerToFloat, QGemm: qGemm }

const operators: Record<string, Translator> = {
  Abs: unary('Abs'),
  Add: add,
  Cast: cast,
  Concat: concat,
  DequantizeLinear: dequantizeLinear,
  Div: elementwise((a, b) => a / b),
  Exp: unary('Exp'),
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  Identity: (t, node) => t.set(node.output[0]!, t.tensor(node.input[0]!)),
  Log: unary('Log'),
  MatMul: matMul,
  MatMulInteger: matMulInteger,
  Mul: elementwise((a, b) => a * b),
  Neg: unary('Neg'),
  QuantizeLinear: quantizeLinear,
  Relu(t, node) {
    if (t.fusion.relus.isTaken(node)) t.set(node.output[0]!, t.tensor(node.input[0]!))
    else unary('Relu')(t, node)
  },
  Reshape: reshape,
  Sigmoid: sigmoid,
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Sqrt: unary('Sqrt'),
  Sub: elementwise((a, b) => a - b),
  Tanh: unary('Tanh'),
}

import type { NodeProto } from '../ir/onnx_pb.ts'
import { add, cast, dequantizeLinear, elementwise, sigmoid, softmax, unary } from './arithmetic.ts'
import { NotTranslated } from './errors.ts'
import { concat, flatten, gather, reshape, slice, split } from './layout.ts'
import type { Translation, Translator } from './translation.ts'

/** Adds the steps of a node; `own`: translators of a back end, by domain and operator. Throws NotTranslated. */
export function translate<T extends Translation>(
  t: T,
  node: NodeProto,
  own: Readonly<Record<string, Translator<T>>>,
): void {
  if (t.isDone(node)) return
  const { domain, opType } = node
  const add = own[domain === '' ? opType : `${domain}.${opType}`] ?? (domain === '' ? operators[opType] : undefined)
  if (add === undefined) throw new NotTranslated(`${opType} is not translated`)
  add(t, node)
}

/** Operators that are computed in the same way whatever computes products. */
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
  Identity: (t, node) => t.set(node.output[0]!, t.tensor(node.input[0]!)),
  Log: unary('Log'),
  Mul: elementwise((a, b) => a * b),
  Neg: unary('Neg'),
  Relu(t, node) {
    if (t.relus.isTaken(node)) t.set(node.output[0]!, t.tensor(node.input[0]!))
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

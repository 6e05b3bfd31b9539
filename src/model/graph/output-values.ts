import type { Graph } from './graph.ts'
import type { NodeProto } from './onnx_pb.ts'

/** What a tensor holds, as far as the operators that it comes from say. */
export type OutputValues = 'probabilities' | 'logits' | undefined

const probabilities = new Set(['Sigmoid', 'HardSigmoid', 'Softmax'])
const products = new Set(['Gemm', 'MatMul', 'Einsum', 'Conv'])

/** Operators whose values are those of their operands, in another place or added up. */
const passing = new Set(
  [
    'Identity Cast Dropout Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Gather Concat Expand',
    'Add Sub Mul Div Sum Mean ReduceSum ReduceMean',
  ].flatMap((names) => names.split(' ')),
)

/** Operators of which only the first operand has values. */
const shaping = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Slice', 'Split', 'Gather', 'Expand', 'ReduceSum', 'Div'])

/**
 * Whether a graph's output holds probabilities or logits: what comes from a sigmoid or softmax, or from a product that none follows.
 * Undefined where operators leave it open.
 */
export function outputValues(graph: Graph, output: string): OutputValues {
  const known = new Map<string, OutputValues>()
  const follow = (name: string): OutputValues => {
    if (known.has(name)) return known.get(name)
    // A cycle, which `tidy` refuses, would not end.
    known.set(name, undefined)
    const node = graph.producer(name)
    const values = node?.domain === '' ? valuesOf(graph, node, follow) : undefined
    known.set(name, values)
    return values
  }
  return follow(output)
}

function valuesOf(graph: Graph, node: NodeProto, follow: (name: string) => OutputValues): OutputValues {
  if (probabilities.has(node.opType)) return 'probabilities'
  if (products.has(node.opType)) return 'logits'
  if (!passing.has(node.opType)) return undefined
  const operands = (shaping.has(node.opType) ? node.input.slice(0, 1) : node.input).filter(
    (name) => name !== '' && !graph.constants.has(name),
  )
  const [first, ...others] = operands.map(follow)
  if (others.every((other) => other === first)) return first
  // Experts that gates weight.
  return node.opType === 'Mul' && [first, ...others].every((values) => values !== undefined) ? 'logits' : undefined
}

import type { OutputValues } from '../contracts/saved-signature.ts'
import type { Graph } from './graph.ts'
import type { NodeProto } from './onnx_pb.ts'

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
 * Whether the tensors of a tidy graph hold probabilities or logits, by name: what comes from a sigmoid or softmax, or from a product
 * that none follows. Without those of which operators leave it open.
 */
export function outputValues(graph: Graph): Map<string, OutputValues> {
  const known = new Map<string, OutputValues>()
  for (const node of graph.nodes) {
    const values = node.domain === '' ? valuesOf(graph, node, known) : undefined
    if (values !== undefined) for (const name of node.output) known.set(name, values)
  }
  return known
}

function valuesOf(graph: Graph, node: NodeProto, known: ReadonlyMap<string, OutputValues>): OutputValues {
  if (probabilities.has(node.opType)) return 'probabilities'
  if (products.has(node.opType)) return 'logits'
  if (!passing.has(node.opType)) return undefined
  const operands = (shaping.has(node.opType) ? node.input.slice(0, 1) : node.input).filter(
    (name) => name !== '' && !graph.constants.has(name),
  )
  const [first, ...others] = operands.map((name) => known.get(name))
  if (others.every((other) => other === first)) return first
  // Experts that gates weight.
  return node.opType === 'Mul' && [first, ...others].every((values) => values !== undefined) ? 'logits' : undefined
}

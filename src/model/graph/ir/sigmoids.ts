import { constantOf } from './constants.ts'
import type { Graph } from './graph.ts'
import type { NodeProto } from './onnx_pb.ts'

/*
 * ONNX Runtime's Sigmoid rounds to multiples of about 3e-8: a probability of 1e-5 is off by up to a hundredth, one
 * below 1e-8 by any factor. 1 / (1 + exp(-x)) is exact to 1e-7 of itself.
 */

/** Operators behind a sigmoid whose values are still its probabilities, or products of them. */
const passing = new Set(['Concat', 'Identity', 'Mul', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze'])

/** Has ONNX Runtime compute the probabilities that a graph answers precisely: writes their sigmoids out. */
export function writeOutSigmoids(graph: Graph): void {
  const seen = new Set<string>()
  const open = graph.outputs.map(({ name }) => name)
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const node = graph.producer(name)
    if (node?.domain !== '') continue
    if (node.opType === 'Sigmoid') writeOut(graph, node)
    else if (passing.has(node.opType)) open.push(...node.input)
  }
}

function writeOut(graph: Graph, sigmoid: NodeProto): void {
  const [x] = sigmoid.input as [string]
  const [y] = sigmoid.output as [string]
  if (!graph.constants.has(one)) graph.constants.set(one, constantOf(one, Float32Array.of(1), []))
  const shape = graph.shapes.get(y)
  const known = shape && { shape }
  const power = graph.node('Exp', [graph.node('Neg', [x], known)], known)
  sigmoid.opType = 'Div'
  sigmoid.input = [one, graph.node('Add', [power, one], known)]
  graph.touch()
}

/** Name of the constant 1 that marks a sigmoid that was written out. */
const one = 'multigate:one'

/** Has a graph's written-out sigmoids computed as one operation each, by those that compute it precisely. */
export function restoreSigmoids(graph: Graph): void {
  for (const node of graph.nodes) {
    if (node.opType !== 'Div' || node.input[0] !== one) continue
    const sum = graph.producer(node.input[1]!)
    const power = sum && graph.producer(sum.input[0]!)
    const negated = power && graph.producer(power.input[0]!)
    if (negated?.opType !== 'Neg') continue
    node.opType = 'Sigmoid'
    node.input = [negated.input[0]!]
  }
  graph.touch()
}

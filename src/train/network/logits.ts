import { Appender } from '../../model/differentiate/appender.ts'
import type { Graph } from '../../model/graph/graph.ts'

/** Probabilities closer to 0 and 1 have no logit in float32. */
const closest = 1e-6

/** Operators that move numbers and change none. */
const moving = new Set(['Concat', 'Flatten', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze'])

/**
 * The tensor of logits behind probabilities, of their shape: what the sigmoids read, wherever they stand; computed of the
 * probabilities where there is no sigmoid. Adds nodes to the graph, whose shapes must be known.
 */
export function logitsOf(graph: Graph, probabilities: string): string {
  const producer = graph.producer(probabilities)
  if (producer?.opType === 'Sigmoid') return producer.input[0]!
  if (producer === undefined || !moving.has(producer.opType)) return logOdds(new Appender(graph), probabilities)
  const { opType, input, attribute } = producer
  const moved = opType === 'Concat' ? input.length : 1
  const inputs = input.map((name, i) => (i < moved ? logitsOf(graph, name) : name))
  const shape = graph.shapes.get(probabilities)
  const logits = graph.node(opType, inputs, shape && { shape })
  graph.producer(logits)!.attribute = [...attribute]
  return logits
}

function logOdds(append: Appender, probabilities: string): string {
  const bounds = [append.scalar(closest), append.scalar(1 - closest)]
  const clipped = append.op('Clip', [probabilities, ...bounds], append.dims(probabilities))
  const rest = append.subtract(append.scalar(1), clipped)
  return append.subtract(append.unary('Log', clipped), append.unary('Log', rest))
}

import type { Graph } from '../../model/graph/ir/graph.ts'

/**
 * Per task, the constants that its logit alone depends on, where the tasks share none: each is a network of its own.
 * Undefined where they share one, or the logits are no concatenation of theirs.
 */
export function ownWeights(graph: Graph, logits: string, tasks: number): Set<string>[] | undefined {
  const producer = graph.producer(logits)
  if (tasks < 2 || producer?.opType !== 'Concat' || producer.input.length !== tasks) return undefined
  const own = producer.input.map((input) => constantsBehind(graph, input))
  const all = new Set(own.flatMap((names) => [...names]))
  const total = own.reduce((sum, { size }) => sum + size, 0)
  return all.size === total ? own : undefined
}

/** Constants that a tensor depends on. */
function constantsBehind(graph: Graph, tensor: string): Set<string> {
  const found = new Set<string>()
  const seen = new Set<string>()
  const waiting = [tensor]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    if (graph.constants.has(name)) found.add(name)
    waiting.push(...(graph.producer(name)?.input ?? []))
  }
  return found
}

import { constantOf } from '../../model/graph/ir/constants.ts'
import type { Graph } from '../../model/graph/ir/graph.ts'
import { keepStatistics } from './network/keep-statistics.ts'
import type { TrainableGraph } from './network/make-training-step.ts'

/** The constants of each task's own: its logit alone depends on them. */
export interface OwnWeights {
  /** Per task. */
  own: ReadonlySet<string>[]
  /** Whether the tasks share none that is trained: each is a network of its own. */
  apart: boolean
}

/** Undefined for a single task, and where logits are no concatenation of the tasks', with a wide part or without. */
export function ownWeights(
  { inference: graph, logits, trained }: Pick<TrainableGraph, 'inference' | 'logits' | 'trained'>,
  tasks: number,
): OwnWeights | undefined {
  const behind = tasks < 2 ? undefined : behindEach(graph, logits, tasks)
  if (behind === undefined) return undefined
  const readers = new Map<string, number>()
  for (const name of behind.flatMap((names) => [...names])) readers.set(name, (readers.get(name) ?? 0) + 1)
  const own = behind.map((names) => new Set([...names].filter((name) => readers.get(name) === 1)))
  return { own, apart: [...readers].every(([name, count]) => count === 1 || !trained.has(name)) }
}

/** Per task, the constants that its logit depends on. */
function behindEach(graph: Graph, logits: string, tasks: number): Set<string>[] | undefined {
  const producer = graph.producer(logits)
  if (producer?.opType === 'Concat' && producer.input.length === tasks)
    return producer.input.map((input) => constantsBehind(graph, input))
  if (producer?.opType !== 'Add') return undefined
  // A wide part, which all tasks share, is added to their logits.
  const [a, b] = producer.input as [string, string]
  const [each, wide] = graph.producer(a)?.opType === 'Concat' ? [a, b] : [b, a]
  const common = constantsBehind(graph, wide)
  return behindEach(graph, each, tasks)?.map((names) => new Set([...names, ...common]))
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

/**
 * Leaves no weights to train but the tasks' own; all others have these values from now on, and shared normalisations
 * their moving statistics. `valuesOf`: undefined for what was never trained. Changes the graphs.
 */
export function freezeShared(
  network: TrainableGraph,
  { own }: OwnWeights,
  valuesOf: (name: string) => Float32Array | undefined,
): TrainableGraph {
  const isOwn = (name: string) => own.some((names) => names.has(name))
  for (const graph of [network.training, network.inference])
    for (const [name, { dims }] of graph.constants) {
      const values = isOwn(name) ? undefined : valuesOf(name)
      if (values) graph.constants.set(name, constantOf(name, values.slice(), dims.map(Number)))
    }
  keepStatistics(network.training, (name) => !isOwn(name))
  return { ...network, trained: new Set([...network.trained].filter(isOwn)) }
}

import type { Graph } from '../../../model/graph/ir/graph.ts'

/** Lets normalisations of a training graph use their moving statistics, where `isKept`, and not the batch's. */
export function keepStatistics(graph: Graph, isKept: (name: string) => boolean): void {
  for (const node of graph.nodes)
    if (node.opType === 'BatchNormalization' && isKept(node.input[3]!))
      node.attribute = node.attribute.filter(({ name }) => name !== 'training_mode')
}

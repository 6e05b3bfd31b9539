import { product } from '../../../base/arrays.ts'
import { constantBytes } from '../../graph/ir/external-data.ts'
import type { Graph } from '../../graph/ir/graph.ts'

/** Most bytes of the constants of a small graph, tables included. */
export const mostBytes = 2 ** 24

/**
 * Most multiplications for a row: more never take less time than a hand-over, so that such a graph is not even read.
 */
export const mostMultiplications = 2 ** 19

/**
 * Whether a graph, as it was saved, is within the bounds of small ones: all weights but tables are multiplied once per
 * row.
 */
export function isLikelySmall(graph: Graph): boolean {
  const tables = new Set(graph.nodes.flatMap(({ opType, input }) => (opType === 'Gather' ? [input[0]] : [])))
  let weights = 0
  for (const { name, dims } of graph.constants.values()) if (!tables.has(name)) weights += product(dims.map(Number))
  return weights <= mostMultiplications && constantBytes(graph) <= mostBytes
}

import { Graph } from '../../src/model/graph/ir/graph.ts'

/** A graph to build on. */
export function emptyGraph(): Graph {
  const opsets = new Map([['', 17n]])
  return new Graph({ inputs: [], outputs: [], nodes: [], constants: [], folder: '.', opsets })
}

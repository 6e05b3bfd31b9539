import { equal } from '../../../base/arrays.ts'
import type { ListColumns, ListLength } from '../../contracts/list-length.ts'
import type { Graph } from '../ir/graph.ts'
import { pickedColumns } from '../operators/columns.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'

/** A tensor [rows, size] that is a list's columns of an input, and of which sequence and member. */
export interface FoundList {
  list: number
  member: number
  each: ListLength['each']
}

/** By tensor: an input of the graph, or columns that are picked from one. */
export type FoundLists = Map<string, FoundList>

/** Where the lists enter a tidy graph. */
export function findLists(graph: Graph, variant: VariantGraph, lists: readonly ListColumns[]): FoundLists {
  const found: FoundLists = new Map()
  const columns = new Map<string, { input: string; columns: readonly number[]; each: ListLength['each'] }>()
  const note = (name: string, source: { input: string; columns: readonly number[]; each: ListLength['each'] }) => {
    for (const [list, { members }] of lists.entries()) {
      const member = members.findIndex(
        (one) => one.input === source.input && equal(one.columns as number[], source.columns as number[]),
      )
      if (member >= 0) {
        found.set(name, { list, member, each: source.each })
        return
      }
    }
    columns.set(name, source)
  }
  for (const [packed, each] of [
    [variant.context, 'requests'],
    [variant.rows, 'rows'],
  ] as const)
    for (const { name, input, columns } of packed)
      if (graph.shapes.get(name)?.dims.length === 2) note(name, { input, columns, each })
  for (const node of graph.nodes) {
    const source = columns.get(node.input[0] ?? '')
    if (source === undefined) continue
    for (const output of node.output) {
      const isSame = node.opType === 'Cast' || node.opType === 'Identity'
      const picked = isSame ? [...source.columns.keys()] : pickedColumns(graph, node, output)
      if (picked?.every((i) => i >= 0 && i < source.columns.length))
        note(output, { ...source, columns: picked.map((i) => source.columns[i]!) })
    }
  }
  return found
}

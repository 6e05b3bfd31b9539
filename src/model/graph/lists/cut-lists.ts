import type { ListColumns, ListLength } from '../../contracts/list-length.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { declare } from '../ir/tensor-shape.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'
import { planNames } from '../sides/tensor-names.ts'
import { findLists } from './find-lists.ts'
import { type Followed, followLists } from './follow-lists.ts'
import { rewriteLists } from './rewrite-lists.ts'

/*
 * Padding isn't computed: a graph's lists are cut to the longest of a call, where the places behind it add nothing to
 * any sum over places.
 */

/** Shorter lists save less than the calls cost that cut them. */
const leastSize = 8

/**
 * A variant whose lists are cut to the lengths that its inputs `planNames.length(…)` say; itself where it has none.
 * `onLeft` receives why a list is not cut. `least`: the size from which lists are cut.
 */
export function cutLists(
  variant: VariantGraph,
  all: readonly ListColumns[],
  onLeft: (list: string, reason: string) => void,
  least = leastSize,
): VariantGraph {
  const lists = all.filter(({ size }) => size >= least)
  if (lists.length === 0) return variant
  const graph = variant.graph.copy()
  graph.tidy()
  graph.shapes.set(planNames.requests, { dtype: DataType.INT32, dims: [-1] })
  const found = findLists(graph, variant, lists)
  let followed: Followed
  do {
    if (found.size === 0) return variant
    followed = followLists(graph, found, lists)
    for (const [list, reason] of followed.left) {
      onLeft(lists[list]!.name, reason)
      for (const [name, own] of found) if (own.list === list) found.delete(name)
    }
  } while (followed.left.size > 0)
  const lengths = [...new Set([...found.values()].map(({ list }) => list))].map((list): [number, ListLength] => {
    const own = [...found.values()].filter((place) => place.list === list)
    const { size, members } = lists[list]!
    const read = new Set(own.map(({ member }) => member))
    const name = planNames.length(list)
    return [list, { name, size, each: own[0]!.each, members: members.filter((_, i) => read.has(i)) }]
  })
  for (const [, { name }] of lengths) {
    const shape = { dtype: DataType.INT64, dims: [1] }
    graph.inputs.push(declare(name, shape))
    graph.shapes.set(name, shape)
  }
  rewriteLists(graph, found, followed, new Map(lengths.map(([list, { name }]) => [list, name])))
  graph.tidy()
  return { ...variant, graph, lists: lengths.map(([, length]) => length) }
}

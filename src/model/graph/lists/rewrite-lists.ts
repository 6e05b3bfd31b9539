import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { isOfSizes, sizesName } from '../ir/reshape.ts'
import { placesOf } from '../operators/axes.ts'
import type { FoundLists } from './find-lists.ts'
import type { Followed, Side } from './follow-lists.ts'

/** Name of a shape that follows from the lengths of lists, before a number that makes it unique. */
const placesName = 'multigate:places'

/** Cuts lists where they enter the graph, and whatever counts their places. `lengths`: the inputs that say them. */
export function rewriteLists(
  graph: Graph,
  found: FoundLists,
  { axes, targets, constants }: Followed,
  lengths: ReadonlyMap<number, string>,
): void {
  const first = (name: string, axis: number, list: number) =>
    graph.node('Slice', [name, graph.integers([0]), lengths.get(list)!, graph.integers([axis])])
  for (const [name, { list }] of found) {
    const users = graph.users(name).filter(({ opType }) => opType !== 'Shape')
    const cut = first(name, 1, list)
    for (const user of users) user.input = user.input.map((input) => (input === name ? cut : input))
    graph.touch()
    graph.shapes.set(cut, { dtype: graph.shapes.get(name)?.dtype ?? DataType.INT32, dims: [-1, -1] })
  }
  const shapes = new Map<string, string>()
  for (const [node, sides] of targets) {
    const former = node.input[1]!
    const key = JSON.stringify([isOfSizes(former), sides])
    const known = shapes.get(key) ?? addShape(graph, sides, lengths, isOfSizes(former) ? sizesName : placesName)
    shapes.set(key, known)
    node.input = node.input.with(1, known)
  }
  const cuts = new Map<string, string>()
  for (const { node, name, axis, list } of constants) {
    const key = JSON.stringify([name, axis, list])
    const known = cuts.get(key) ?? first(name, axis, list)
    cuts.set(key, known)
    node.input = node.input.map((input) => (input === name ? known : input))
  }
  for (const [name, own] of axes) {
    const shape = graph.shapes.get(name)
    if (shape === undefined || found.has(name)) continue
    graph.shapes.set(name, {
      ...shape,
      dims: shape.dims.map((side, i) => (placesOf(own[i] ?? []) === undefined ? side : -1)),
    })
  }
  graph.touch()
}

function addShape(graph: Graph, sides: readonly Side[], lengths: ReadonlyMap<number, string>, name: string): string {
  const parts: string[] = []
  let numbers: number[] = []
  const flush = () => {
    if (numbers.length > 0) parts.push(graph.integers(numbers))
    numbers = []
  }
  for (const side of sides) {
    if (typeof side === 'number') {
      numbers.push(side)
      continue
    }
    flush()
    parts.push(typeof side === 'string' ? side : multiple(graph, lengths.get(side.list)!, side.times))
  }
  flush()
  const isConstant = sides.every((side) => typeof side === 'number')
  if (isConstant) return parts[0]!
  const shape = { dtype: DataType.INT64, dims: [sides.length] }
  return graph.node('Concat', parts, { attributes: { axis: 0 }, shape, outputs: [graph.fresh(name)] })
}

function multiple(graph: Graph, length: string, times: number): string {
  const shape = { dtype: DataType.INT64, dims: [1] }
  return times === 1 ? length : graph.node('Mul', [length, graph.integers([times])], { shape })
}

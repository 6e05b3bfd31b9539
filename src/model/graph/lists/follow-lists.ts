import { product } from '../../../base/arrays.ts'
import type { ListColumns } from '../../contracts/list-length.ts'
import type { Graph } from '../ir/graph.ts'
import { microsoft } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { isOfSizes } from '../ir/reshape.ts'
import { type Axis, axesOfDims, hasPlaces, isPlaces, placesOf, type Target } from '../operators/axes.ts'
import { present } from '../operators/operator.ts'
import { type FollowPlaces, NotCut, rowsByWeights, samePlaces } from '../operators/places.ts'
import { operatorOf } from '../operators/table.ts'
import type { FoundLists } from './find-lists.ts'

/** A side of a shape: a number, the tensor that has it, or a multiple of a list's length. */
export type Side = number | string | { list: number; times: number }

/** How a graph whose lists are cut differs from the graph. */
export interface Followed {
  /** Why lists can't be cut, by their numbers; then nothing else is complete. */
  left: Map<number, string>
  /** The axes of tensors that have places of lists, and of those whose shapes don't say how rows are grouped. */
  axes: Map<string, readonly Axis[]>
  /** The shapes that nodes ask for. */
  targets: Map<NodeProto, Side[]>
  /** Constants of which nodes read the first values of an axis. */
  constants: { node: NodeProto; name: string; axis: number; list: number }[]
}

/** Operators of int8, which only the compiler makes. */
const ofBytes: Record<string, FollowPlaces> = {
  QuantizeLinear: samePlaces,
  MatMulInteger: rowsByWeights(1, -1),
  [`${microsoft}.MatMulIntegerToFloat`]: rowsByWeights(1, 6),
  [`${microsoft}.QGemm`]: rowsByWeights(3, 6),
}

const ruleOf = (node: NodeProto): FollowPlaces | undefined =>
  present(operatorOf(node)?.places) ?? ofBytes[node.domain === '' ? node.opType : `${node.domain}.${node.opType}`]

/** Follows the places of lists through a tidy graph. */
export function followLists(graph: Graph, found: FoundLists, lists: readonly ListColumns[]): Followed {
  const followed: Followed = { left: new Map(), axes: new Map(), targets: new Map(), constants: [] }
  for (const [name, { list, member }] of found) {
    const { size, members } = lists[list]!
    const padding = { alike: true, value: members[member]!.padding }
    const [rows] = axesOfDims(graph.shapes.get(name)?.dims.slice(0, 1) ?? [-1])
    followed.axes.set(name, [rows!, [{ list, size, padding }]])
  }
  for (const node of graph.nodes) {
    // It counts rows, of whole lists.
    if (node.opType === 'Shape' && found.has(node.input[0]!)) continue
    const own = node.input.filter((name) => followed.axes.has(name))
    const gathers = node.opType === 'Reshape' && isOfSizes(node.input[1]!)
    if ((own.length === 0 && !gathers) || node.output.some((name) => found.has(name))) continue
    try {
      follow(graph, node, followed)
    } catch (error) {
      if (!(error instanceof NotCut)) throw error
      const concerned = own.flatMap((name) => followed.axes.get(name)!.flat().filter(isPlaces))
      if (concerned.length === 0) continue
      const reason = `${node.opType} ${node.name || node.output[0]} ${error.message}`
      for (const { list } of concerned) followed.left.set(list, reason)
      return followed
    }
  }
  for (const { name } of graph.outputs)
    for (const { list } of (followed.axes.get(name) ?? []).flat().filter(isPlaces))
      followed.left.set(list, `the output ${name} has a value for each of its places`)
  return followed
}

function follow(graph: Graph, node: NodeProto, { axes, targets, constants }: Followed): void {
  const rule = ruleOf(node)
  if (rule === undefined) throw new NotCut('reads it whole')
  const axesOf = (name: string): readonly Axis[] => {
    const dims = graph.constants.has(name) ? graph.dimsOf(name) : graph.shapes.get(name)?.dims
    const known = axes.get(name) ?? (dims && axesOfDims(dims))
    if (known === undefined) throw new NotCut('meets values whose number is not known')
    return known
  }
  const outputs = rule({
    graph,
    node,
    axesOf,
    numberOf: (name) => numberOf(graph, name),
    compute: (values) => operatorOf(node)?.number?.(...values),
    targetsOf: (name) => sidesOf(graph, name).map((side): Target => (typeof side === 'number' ? side : undefined)),
    cutConstant: (name, axis, { list }) => constants.push({ node, name, axis, list }),
  })
  for (const [i, name] of node.output.entries()) if (name !== '') axes.set(name, outputs[i]!)
  if ((node.opType !== 'Reshape' && node.opType !== 'Expand') || !hasPlaces(outputs[0]!)) return
  const sides = sidesOf(graph, node.input[1]!)
  const target = node.opType === 'Reshape' ? reshapeTo(outputs[0]!, sides) : expandTo(outputs[0]!, sides)
  if (target === undefined) throw new NotCut('divides the places of a list')
  targets.set(node, target)
}

/** The number that all elements of a constant are. */
function numberOf(graph: Graph, name: string): number | undefined {
  const values = graph.floats(name) ?? graph.integersOf(name) ?? truthOf(graph, name)
  if (values === undefined || values.length === 0 || values.length > 65_536) return undefined
  const [first] = values
  return values.every((value: number) => Object.is(value, first)) ? first : undefined
}

function truthOf(graph: Graph, name: string): number[] | undefined {
  const tensor = graph.constants.get(name)
  // Truth values and bytes have one byte each.
  return tensor !== undefined && tensor.rawData.length === 1 ? [tensor.rawData[0]!] : undefined
}

/** The sides of a shape: a constant, or one that is put together of constants and computed sides. */
function sidesOf(graph: Graph, name: string): Side[] {
  const known = graph.integersOf(name)
  if (known !== undefined) return known
  const node = graph.producer(name)
  const parts = node?.opType === 'Concat' ? node.input : [name]
  return parts.flatMap((part): Side[] => {
    const numbers = graph.integersOf(part)
    if (numbers !== undefined) return numbers
    if (graph.shapes.get(part)?.dims[0] !== 1) throw new NotCut('has a shape that is computed')
    return [part]
  })
}

/** The shape that a Reshape asks for where lists have any length; undefined where none can say it. */
function reshapeTo(output: readonly Axis[], sides: readonly Side[]): Side[] | undefined {
  const target = output.map((axis, i): Side | undefined =>
    placesOf(axis) === undefined || sides[i] === -1 || sides[i] === 0 ? sides[i] : timesLength(axis),
  )
  return target.includes(undefined) ? undefined : (target as Side[])
}

/** The size of an axis of places and of what belongs to each. */
function timesLength(axis: Axis): Side | undefined {
  const places = placesOf(axis)
  const others = axis.filter((factor) => factor !== places)
  if (places === undefined || !others.every((factor) => typeof factor === 'number')) return undefined
  return { list: places.list, times: product(others) }
}

function expandTo(output: readonly Axis[], sides: readonly Side[]): Side[] | undefined {
  const target = output.map((axis, i): Side | undefined => {
    return placesOf(axis) === undefined || sides[i] === 1 ? sides[i] : timesLength(axis)
  })
  return target.includes(undefined) ? undefined : (target as Side[])
}

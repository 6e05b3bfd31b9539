import { clone } from '@bufbuild/protobuf'
import { positive, product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import { isExternal } from '../ir/constants.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, NodeProtoSchema } from '../ir/onnx_pb.ts'

/* How the columns of an operator's output follow from columns of its inputs. */

/** Columns that are computed from columns of one input, each from one. */
export interface Source {
  input: string
  /** Columns of the input, in the order of the tensor. */
  columns: number[]
  /**
   * Per column what is added to the input's value, a whole number ≥ 0; undefined where it is computed in any other way.
   */
  added: number[] | undefined
  /** Whether the columns are the input's own values. */
  isInput: boolean
  /**
   * Adds nodes to `target` that compute the columns at `positions` in `columns` from `packed`, these columns of the
   * input. Returns their tensor, [batch, positions].
   */
  build(target: Graph, packed: string, positions: number[]): string
}

/** A node whose columns are followed. */
export interface Followed {
  graph: Graph
  node: NodeProto
  /** Its output, [batch, …] with at most two more dimensions, and the product of those. */
  output: string
  dims: readonly number[]
  width: number
  /** The source of one of its inputs. */
  sourceOf(input: string): Source | undefined
}

/** Undefined where columns depend on several of the input, or on several inputs. */
export type FollowColumns = (followed: Followed) => Source | undefined

/** The same numbers: [batch] ↔ [batch, 1]; rebuilt columns are always [batch, n]. */
export const reshaped: FollowColumns = ({ node, width, sourceOf }) => {
  const source = sourceOf(node.input[0]!)
  return source?.columns.length === width ? source : undefined
}

/** Some of the columns of its first input. */
export const picked: FollowColumns = ({ graph, node, output, sourceOf }) => {
  const columns = pickedColumns(graph, node, output)
  const [x] = node.input as [string]
  if (
    columns === undefined ||
    !graph.shapes
      .get(x)!
      .dims.slice(2)
      .every((side) => side === 1)
  )
    return undefined
  const source = sourceOf(x)
  if (source === undefined || columns.some((i) => i < 0 || i >= source.columns.length)) return undefined
  return {
    ...source,
    columns: columns.map((i) => source.columns[i]!),
    added: source.added && columns.map((i) => source.added![i]!),
    build: (target, packed, positions) =>
      source.build(
        target,
        packed,
        positions.map((i) => columns[i]!),
      ),
  }
}

/** Columns of one input side by side, each computed in its own way. */
export const joined: FollowColumns = ({ node, dims, sourceOf }) => {
  if (dims.length !== 2 || positive(intAttribute(node, 'axis', 0), 2) !== 1) return undefined
  const parts = node.input.map(sourceOf)
  const [first] = parts
  if (!parts.every((part) => part !== undefined && part.input === first!.input)) return undefined
  const places = parts.flatMap((part) => part!.columns.map((_, at) => ({ part: part!, at })))
  const isInput = parts.every((part) => part!.isInput)
  return {
    input: first!.input,
    columns: parts.flatMap((part) => part!.columns),
    added: parts.every((part) => part!.added) ? parts.flatMap((part) => part!.added!) : undefined,
    isInput,
    build(target, packed, positions) {
      if (isInput) return packed
      const built = runsOf(positions.map((position) => places[position]!)).map(({ part, from, at }) => {
        if (at.length === positions.length) return part.build(target, packed, at)
        const bounds = [[from], [from + at.length], [1]].map((bound) => target.integers(bound))
        return part.build(target, target.node('Slice', [packed, ...bounds]), at)
      })
      return built.length === 1 ? built[0]! : target.node('Concat', built, { attributes: { axis: 1 } })
    },
  }
}

/** Neighbours of the same part: the place of the first, and their places within the part. */
function runsOf(places: readonly { part: Source; at: number }[]): { part: Source; from: number; at: number[] }[] {
  const runs: { part: Source; from: number; at: number[] }[] = []
  for (const [from, { part, at }] of places.entries()) {
    const last = runs.at(-1)
    if (last?.part === part) last.at.push(at)
    else runs.push({ part, from, at: [at] })
  }
  return runs
}

/**
 * Each element is computed from those in its place. `added`: the numbers that it adds to the values of its input, as in
 * `Source`.
 */
export const each =
  (added: (followed: Followed) => number[] | undefined = () => undefined): FollowColumns =>
  (followed) =>
    elementwise(followed, added)

function elementwise(followed: Followed, added: (followed: Followed) => number[] | undefined): Source | undefined {
  const { graph, node, width, sourceOf } = followed
  const operands = node.input.map((operand): Operand | undefined => {
    // An optional one that is left out.
    if (operand === '') return { build: () => '' }
    if (graph.constants.has(operand)) return constantOperand(graph, operand, width)
    const source = sourceOf(operand)
    return source && { source, build: source.build }
  })
  if (!operands.every((operand) => operand !== undefined)) return undefined
  const sources = operands.flatMap(({ source }) => (source === undefined ? [] : [source]))
  const [first] = sources
  if (first === undefined) return undefined
  const same = sources.every(
    ({ input, columns }) =>
      input === first.input && columns.join() === first.columns.join() && columns.length === width,
  )
  if (!same) return undefined
  return {
    input: first.input,
    columns: first.columns,
    added: added(followed),
    isInput: false,
    build(target, packed, positions) {
      const copy = clone(NodeProtoSchema, node)
      copy.input = operands.map((operand) => operand.build(target, packed, positions))
      // Operands are often shared, e.g. x < 0 ? x + n : x; equal nodes are built once.
      const key = JSON.stringify([copy.opType, copy.input, copy.attribute.map(({ name, i, f }) => [name, `${i}`, f])])
      const known = built(target).get(key)
      if (known !== undefined) return known
      const output = target.fresh(node.output[0]!)
      // A graph that has dropped the node may know another shape by its name.
      const former = target.shapes.get(output)
      if (former !== undefined && former.dims.length !== 2)
        target.shapes.set(output, { dtype: former.dtype, dims: [former.dims[0]!, positions.length] })
      copy.output = [output]
      copy.name = output
      target.nodes.push(copy)
      target.touch()
      built(target).set(key, output)
      return output
    },
  }
}

/** An operand of an element-wise node: a constant, or columns of the same input. */
interface Operand {
  source?: Source
  build: Source['build']
}

const builtNodes = new WeakMap<Graph, Map<string, string>>()

function built(graph: Graph): Map<string, string> {
  const known = builtNodes.get(graph) ?? new Map<string, string>()
  builtNodes.set(graph, known)
  return known
}

/** A constant of one value for all columns, or one value per column. */
function constantOperand(graph: Graph, name: string, width: number): Operand | undefined {
  const tensor = graph.constants.get(name)!
  const dims = tensor.dims.map(Number)
  const size = product(dims)
  if (isExternal(tensor)) return undefined
  if (size === 1 && dims.length <= 2) {
    return {
      build(target) {
        target.constants.set(name, tensor)
        return name
      },
    }
  }
  const floats = graph.floats(name)
  const integers = graph.integersOf(name)
  if (size !== width || dims.at(-1) !== width || (floats === undefined && integers === undefined)) return undefined
  return {
    build(target, _, positions) {
      const key = JSON.stringify([name, positions])
      const known = built(target).get(key)
      if (known !== undefined) return known
      const pick = (values: ArrayLike<number>) => positions.map((i) => values[i]!)
      const data =
        floats !== undefined
          ? Float32Array.from(pick(floats))
          : tensor.dataType === DataType.INT64
            ? BigInt64Array.from(pick(integers!), BigInt)
            : Int32Array.from(pick(integers!))
      const picked = target.constant(`${name}/columns`, data, [positions.length])
      built(target).set(key, picked)
      return picked
    },
  }
}

/**
 * Columns of its input, [batch, columns, …], that a node selects, in order: Gather and Slice over axis 1, and Split.
 */
export function pickedColumns(graph: Graph, node: NodeProto, output: string): number[] | undefined {
  const dims = graph.shapes.get(node.input[0]!)?.dims
  if (dims === undefined || dims.length < 2) return undefined
  const rank = dims.length
  const width = dims[1]!
  if (node.opType === 'Gather' && positive(intAttribute(node, 'axis', 0), rank) === 1)
    return graph.integersOf(node.input[1]!)?.map((i) => positive(i, width))
  if (node.opType === 'Split' && positive(intAttribute(node, 'axis', 0), rank) === 1) {
    const sizes = node.output.map((name) => graph.shapes.get(name)?.dims[1])
    const at = node.output.indexOf(output)
    if (sizes.some((size) => size === undefined)) return undefined
    const start = sizes.slice(0, at).reduce((sum: number, size) => sum + size!, 0)
    return Array.from({ length: sizes[at]! }, (_, i) => start + i)
  }
  if (node.opType === 'Slice') {
    const given = node.input.slice(1)
    if (given.some((name) => name !== '' && !graph.constants.has(name))) return undefined
    const [starts, ends, axes, steps] = given.map((name) => graph.integersOf(name))
    if (starts?.length !== 1 || ends?.length !== 1 || (steps !== undefined && steps[0] !== 1)) return undefined
    if (positive(axes?.[0] ?? 0, rank) !== 1) return undefined
    const from = Math.max(0, positive(starts[0]!, width))
    const to = Math.min(width, positive(ends[0]!, width))
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
  }
  return undefined
}

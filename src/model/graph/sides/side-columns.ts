import type { PackedInput } from '../../contracts/compiled-plan.ts'
import { weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { declare, floatShape, type TensorShape } from '../ir/tensor-shape.ts'
import { lookUpsOf, type Segment } from './columns.ts'
import type { Side, Sides, VariantGraph } from './split-graphs.ts'
import { planNames } from './tensor-names.ts'

/*
 * The features of some sides: the columns of a variant's inputs that they are computed from, and their rows in a
 * matrix.
 */

/** Adds nodes that compute the features of these sides, [rows, k]. */
export function features(plan: VariantGraph, segments: Segment[], sides: Sides, wanted: Side[]): string {
  const { graph } = plan
  const batch = batchOf(wanted)
  const parts: string[] = []
  let width = 0
  for (const segment of segments) {
    const { table, dim } = segment
    const picked = columnsOf(plan, segment, sides, wanted)
    if (picked === undefined) continue
    const { values, positions } = picked
    const size = positions.length * dim
    width += size
    parts.push(table === undefined ? values : embed(graph, table, values, [batch, positions.length, dim]))
  }
  return sideBySide(graph, parts, floatShape(batch, width))
}

/** Concatenates tensors [batch, …] over axis 1. */
export function sideBySide(graph: Graph, parts: readonly string[], shape: TensorShape): string {
  return parts.length === 1 ? parts[0]! : graph.node('Concat', [...parts], { attributes: { axis: 1 }, shape })
}

/** Rows of a table, concatenated: [batch, fields·dim]. */
export function embed(
  graph: Graph,
  table: string,
  ids: string,
  [batch, fields, dim]: [number, number, number],
): string {
  const { dataType } = graph.constants.get(table)!
  const shape = { dtype: dataType, dims: [batch, fields, dim] }
  const rows = graph.node('Gather', [table, ids], { attributes: { axis: 0 }, shape })
  const flat = { dtype: dataType, dims: [batch, fields * dim] }
  return graph.node('Reshape', [rows, graph.integers([-1, fields * dim])], { shape: flat })
}

/** Values (or ids) of a segment's columns of these sides, [batch, positions]; undefined if there are none. */
export function columnsOf(
  plan: VariantGraph,
  { input, columns, build }: Segment,
  sides: Sides,
  wanted: Side[],
): { values: string; positions: number[] } | undefined {
  const positions = columns.flatMap((column, i) => (wanted.includes(sides[input]![column]!) ? [i] : []))
  if (positions.length === 0) return undefined
  const picked = positions.map((i) => columns[i]!)
  return { values: build(plan.graph, pack(plan, input, sides, wanted, picked), positions), positions }
}

/** The first dimension of a variant's tensor: the context has one row per request. */
export function batchOf(wanted: readonly Side[]): number {
  return wanted.length === 1 && wanted[0] === 'context' ? 1 : -1
}

/** These columns of a saved input or of a region, which are all of the wanted sides: [batch, columns]. */
function pack(plan: VariantGraph, input: string, sides: Sides, wanted: Side[], picked: number[]): string {
  const { graph } = plan
  const batch = batchOf(wanted)
  const { dtype } = graph.shapes.get(input)!
  const columns = sides[input]!.flatMap((side, column) => (wanted.includes(side) ? [column] : []))
  const name = plan.region?.(input, wanted) ?? packedInput(plan, { input, columns }, batch)
  const places = picked.map((column) => columns.indexOf(column))
  return pickColumns(graph, name, places, { dtype, dims: [batch, columns.length] })
}

/** Columns of a tensor of this shape. */
export function pickColumns(
  graph: Graph,
  name: string,
  places: readonly number[],
  { dtype, dims }: TensorShape,
): string {
  const [batch, width] = dims as [number, number]
  if (places.length === width && places.every((place, i) => place === i)) return name
  const shape = { dtype, dims: [batch, places.length] }
  return graph.node('Gather', [name, graph.integers(places)], { attributes: { axis: 1 }, shape })
}

/** The variant's input of these columns. */
function packedInput({ graph, context, rows }: VariantGraph, wanted: Omit<PackedInput, 'name'>, batch: number): string {
  const list = batch === 1 ? context : rows
  const { input, columns } = wanted
  const same = list.find((packed) => packed.input === input && packed.columns.join() === columns.join())
  if (same !== undefined) return same.name
  const { dtype } = graph.shapes.get(input)!
  const name = graph.fresh(planNames.packed(batch === 1 ? 'context' : 'rows', input))
  list.push({ name, input, columns })
  graph.inputs.push(declare(name, { dtype, dims: [-1, columns.length] }, batch === 1 ? 'requests' : 'batch'))
  graph.shapes.set(name, { dtype, dims: [batch, columns.length] })
  return name
}

/** The rows of a first layer's matrix for the features of these sides. */
export function rowsOf(
  graph: Graph,
  gemm: NodeProto,
  segments: Segment[],
  sides: Sides,
  wanted: Side[],
): { data: Float32Array; dims: number[] } {
  const { n, w } = weightsOf(graph, gemm)
  const rows = rowIndexes(segments, sides, wanted)
  return { data: pickRows(w, n, rows), dims: [rows.length, n] }
}

/** Indices of these sides' features among all, in order. */
export function rowIndexes(segments: Segment[], sides: Sides, wanted: Side[]): number[] {
  const rows: number[] = []
  let row = 0
  for (const { input, columns, dim } of segments)
    for (const column of columns) {
      if (wanted.includes(sides[input]![column]!)) for (let i = 0; i < dim; i++) rows.push(row + i)
      row += dim
    }
  return rows
}

/** Rows of a matrix [any, n], row-major. */
export function pickRows<T extends Float32Array | Int8Array>(matrix: T, n: number, rows: readonly number[]): T {
  const picked = new (matrix.constructor as new (length: number) => T)(rows.length * n)
  rows.forEach((from, to) => {
    picked.set(matrix.subarray(from * n, (from + 1) * n), to * n)
  })
  return picked
}

/** How an input of an optimised graph is looked up. */
export interface LookedUp {
  /** The tables that its columns are looked up in. */
  tables: Set<string>
  /**
   * Per column how many ids it takes from 0 on: the rows of the smallest table that it is looked up in. None of columns
   * from which ids are computed: any value may be one.
   */
  rows: Map<number, number>
}

/** The inputs of an optimised graph that are looked up in tables, by name. */
export function lookedUpInputs(graph: Graph): Map<string, LookedUp> {
  const inputs = new Map<string, LookedUp>()
  for (const { table, input, columns, added } of lookUpsOf(graph)) {
    const known = inputs.get(input) ?? { tables: new Set(), rows: new Map() }
    inputs.set(input, known)
    known.tables.add(table!)
    const all = graph.dimsOf(table!)?.[0]
    if (all === undefined || added === undefined) continue
    for (const [place, column] of columns.entries()) {
      const ids = all - added[place]!
      if (ids > 0) known.rows.set(column, Math.min(ids, known.rows.get(column) ?? ids))
    }
  }
  return inputs
}

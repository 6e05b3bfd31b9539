import type { Segment } from '../../graph/columns.ts'
import { weightsOf } from '../../graph/gemm.ts'
import type { Graph } from '../../graph/graph.ts'
import type { NodeProto } from '../../graph/onnx_pb.ts'
import { declare, floatShape } from '../../graph/tensor-shape.ts'
import type { Side, Sides, VariantGraph } from './contract.ts'
import { planNames } from './tensor-names.ts'

/*
 * The features of some sides: the columns of a variant's inputs that they are computed from, and their rows in a matrix.
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
  if (parts.length === 1) return parts[0]!
  return graph.node('Concat', parts, { attributes: { axis: 1 }, shape: floatShape(batch, width) })
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

/** The variant's input with these columns of a saved input, in this order: [rows, columns]. */
function pack(plan: VariantGraph, input: string, sides: Sides, wanted: Side[], picked: number[]): string {
  const { graph } = plan
  const batch = batchOf(wanted)
  const list = batch === 1 ? plan.context : plan.rows
  const name = planNames.packed(batch === 1 ? 'context' : 'rows', input)
  let packed = list.find((candidate) => candidate.name === name)
  const dtype = graph.shapes.get(input)!.dtype
  if (packed === undefined) {
    const columns = sides[input]!.flatMap((side, column) => (wanted.includes(side) ? [column] : []))
    packed = { name, input, columns }
    list.push(packed)
    const shape = { dtype, dims: [batch, columns.length] }
    graph.inputs.push(declare(name, { dtype, dims: [-1, columns.length] }, batch === 1 ? 'requests' : 'batch'))
    graph.shapes.set(name, shape)
  }
  const places = picked.map((column) => packed.columns.indexOf(column))
  if (places.length === packed.columns.length && places.every((place, i) => place === i)) return name
  return graph.node('Gather', [name, graph.integers(places)], {
    attributes: { axis: 1 },
    shape: { dtype, dims: [batch, places.length] },
  })
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

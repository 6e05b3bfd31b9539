import { create } from '@bufbuild/protobuf'
import { positive } from '../../../base/arrays.ts'
import {
  type LiveColumn,
  type LiveColumns,
  type LiveTable,
  rowOf,
  type TableReader,
} from '../../contracts/live-tables.ts'
import { feedsOf, openSession } from '../int8/observe-ranges.ts'
import { intAttribute } from '../ir/attributes.ts'
import { floatsOf } from '../ir/constants.ts'
import { tablePieces } from '../ir/external-data.ts'
import type { Graph } from '../ir/graph.ts'
import {
  TensorProto_DataType as DataType,
  type NodeProto,
  type TensorProto,
  ValueInfoProtoSchema,
} from '../ir/onnx_pb.ts'
import { traceShapes } from '../ir/shapes.ts'
import { declare } from '../ir/tensor-shape.ts'
import { canonicalise, nameConstants } from '../passes/canonicalise.ts'
import { featureFinder, type Segment } from '../sides/columns.ts'
import { planNames } from '../sides/tensor-names.ts'
import type { FoundTables } from './compiled-graph.ts'
import { checkBounds } from './optimise.ts'

/**
 * A look-up of a table's rows. `segment`: the columns whose values or functions of them are its ids; undefined where it
 * has others.
 */
interface LookUp {
  name: string
  table: string
  ids: string
  segment: Segment | undefined
}

/**
 * The tables that live columns are looked up in, in a graph as saved: each column in one table, which is read by
 * look-ups alone. Returns a reason if that is not so. Makes these tables variables of `graph`, which otherwise computes
 * the same.
 *
 * Rejects as `traceShapes`, and with a plain Error if the graph can't be compiled.
 */
export async function findLiveTables(graph: Graph, { input, columns }: LiveColumns): Promise<FoundTables | string> {
  checkBounds(graph)
  nameConstants(graph)
  const canonical = graph.copy()
  // No reader of a table may disappear into another constant.
  for (const node of canonical.nodes) if (isLookUp(canonical, node)) canonical.variables.add(node.input[0]!)
  await traceShapes(canonical)
  canonicalise(canonical, new Map())
  const lookUps = lookUpsOf(canonical)
  const tables = new Map<string, LiveTable>()
  for (const live of columns) {
    const placed = await placeOf(canonical, lookUps, input, live)
    if (typeof placed === 'string') return placed
    const { name, first } = placed
    const table = tables.get(name) ?? tableOf(canonical, name, lookUps, tables.size)
    if (typeof table === 'string') return table
    const { column, ids } = live
    if (first + ids > table.rows)
      return `the table ${name} has ${table.rows} rows, fewer than ${named(input, column)} has ids`
    table.columns.push({ column, ids, first })
    tables.set(name, table)
  }
  for (const name of tables.keys()) graph.variables.add(name)
  return tables
}

const named = (input: string, column: number) => `column ${column} of ${input}`

/** The table that a live column is looked up in, and the row of its first id; a reason if it has no such table. */
async function placeOf(
  graph: Graph,
  lookUps: readonly LookUp[],
  input: string,
  live: LiveColumn,
): Promise<{ name: string; first: number } | string> {
  const where = named(input, live.column)
  const own = lookUps.flatMap(({ table, segment }) => {
    if (segment?.input !== input) return []
    return segment.columns.flatMap((column, place) => (column === live.column ? [{ table, segment, place }] : []))
  })
  const [name, another] = new Set(own.map(({ table }) => table))
  if (name === undefined) {
    const mixing = lookUps.find(({ segment, ids }) => segment === undefined && dependsOn(graph, ids, input))
    return mixing === undefined
      ? `${where} is not looked up in a table`
      : `the node ${mixing.name} looks up rows of ${mixing.table} by ids that are not computed from one column each`
  }
  if (another !== undefined) return `${where} is looked up in more than one table: ${name} and ${another}`
  const [rows] = graph.dimsOf(name) as [number, number]
  if (live.ids > rows) return `the table ${name} has ${rows} rows, fewer than ${where} has ids`
  const firsts = new Set<number | undefined>()
  for (const { segment, place } of own) firsts.add(await firstRow(graph, segment, place, live, rows))
  const [first, other] = firsts
  if (firsts.has(undefined)) return `the rows of ${name} that ${where} is looked up in are not one after the other`
  if (other !== undefined)
    return `the ids of ${where} are looked up in different rows of ${name}: ${first} and ${other}`
  return { name, first: first! }
}

/** A table, without columns; a reason if its rows can't be replaced wherever they are read. */
function tableOf(graph: Graph, name: string, lookUps: readonly LookUp[], number: number): LiveTable | string {
  const other = graph.users(name).find((node) => !isLookUp(graph, node))
  if (other !== undefined)
    return `the table ${name} is not read by look-ups alone: ${other.opType} ${other.name || other.output[0]} reads it`
  if (graph.isOutput(name)) return `the table ${name} is an output of the graph`
  const copy = copyOf(graph, name)
  if (copy !== undefined) return `${copy} holds the same values as the table ${name}, and would keep them`
  const [rows, width] = graph.dimsOf(name) as [number, number]
  const readers = readersOf(lookUps.filter(({ table }) => table === name))
  const { overlay, pages, slots } = planNames
  const names = { overlay: overlay(number), pages: pages(number), slots: slots(number) }
  return { ...names, rows, width, columns: [], ...(readers && { readers }) }
}

function readersOf(lookUps: readonly LookUp[]): TableReader[] | undefined {
  const readers = new Map<string, TableReader>()
  for (const { segment } of lookUps) {
    if (segment?.added === undefined) return undefined
    const { input, columns, added } = segment
    for (const [i, column] of columns.entries())
      readers.set(`${input} ${column} ${added[i]}`, { input, column, added: added[i]! })
  }
  return [...readers.values()]
}

function lookUpsOf(graph: Graph): LookUp[] {
  const features = featureFinder(graph)
  return graph.nodes.flatMap((node) => {
    if (!isLookUp(graph, node)) return []
    const [table, ids] = node.input as [string, string]
    const [segment, ...more] = features(node.output[0]!) ?? []
    const follows = segment?.table === table && more.length === 0
    return [{ name: node.name || node.output[0]!, table, ids, segment: follows ? segment : undefined }]
  })
}

/** Whether a tensor is computed from an input. */
function dependsOn(graph: Graph, name: string, input: string): boolean {
  const seen = new Set<string>()
  const open = [name]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === input) return true
    if (seen.has(next)) continue
    seen.add(next)
    open.push(...(graph.producer(next)?.input ?? []))
  }
  return false
}

/** Whether a node looks up rows of a constant table of floats, by any ids. */
export function isLookUp(graph: Graph, node: NodeProto): boolean {
  const table = graph.constants.get(node.input[0] ?? '')
  if (node.opType !== 'Gather' || node.domain !== '') return false
  if (table?.dataType !== DataType.FLOAT || table.dims.length !== 2) return false
  return positive(intAttribute(node, 'axis', 0), 2) === 0
}

/**
 * Another constant with a table's values, unchanged or transposed: exporters write a weight that a model uses twice, as
 * where products share a table's weights, twice. undefined where there is none, or the table has one value alone.
 */
export function copyOf(graph: Graph, table: string): string | undefined {
  const tensor = graph.constants.get(table)!
  const [rows, width] = tensor.dims.map(Number) as [number, number]
  for (const other of graph.constants.values()) {
    if (other === tensor || other.dataType !== DataType.FLOAT || other.dims.length !== 2) continue
    const [first, second] = other.dims.map(Number)
    const isAlike = first === rows && second === width && areEqual(graph, tensor, other, false)
    if (isAlike || (first === width && second === rows && areEqual(graph, tensor, other, true))) return other.name
  }
  return undefined
}

/** `transposed`: whether the columns of `other` are the table's rows. */
function areEqual(graph: Graph, table: TensorProto, other: TensorProto, transposed: boolean): boolean {
  const [rows, width] = table.dims.map(Number) as [number, number]
  const turned = transposed ? floatsOf(other) : undefined
  // Tables alone are in files, and no reader has them transposed.
  if (transposed && turned === undefined) return false
  const others = valuesOf(graph, other)
  let isVaried = false
  let at = 0
  let first: number | undefined
  for (const value of valuesOf(graph, table)) {
    const twin = turned ? turned[(at % width) * rows + Math.floor(at / width)] : others.next().value
    if (value !== twin) return false
    first ??= value
    isVaried ||= value !== first
    at++
  }
  return isVaried
}

function* valuesOf(graph: Graph, tensor: TensorProto): Generator<number> {
  const [rows, width] = tensor.dims.map(Number) as [number, number]
  for (const { values } of tablePieces(graph, tensor, 0, rows, width)) yield* values
}

/** Ids per call. */
const chunk = 2 ** 16

/**
 * The row of a table that the column at `place` of a look-up's columns is looked up in for its first id, if those of
 * the ids after it come after it, one by one; else undefined. `rows`: of the table.
 */
export async function firstRow(
  graph: Graph,
  segment: Segment,
  place: number,
  { offset, ids }: LiveColumn,
  rows: number,
): Promise<number | undefined> {
  const { input, columns, added } = segment
  if (added !== undefined) return rowOf(offset, { input, column: columns[place]!, added: added[place]! }, rows)
  const values = Int32Array.from({ length: ids }, (_, id) => offset + id)
  let first: number | undefined
  let next = 0
  for await (const row of rowsOf(graph, segment, place, values)) {
    const own = row < 0 ? row + rows : row
    first ??= own
    if (own !== first + next++) return undefined
  }
  return first
}

/** The rows that values of a column are looked up in, as ONNX Runtime computes them. */
async function* rowsOf(
  graph: Graph,
  { input, build }: Segment,
  place: number,
  values: Int32Array,
): AsyncIterable<number> {
  const shape = { dtype: graph.shapes.get(input)!.dtype, dims: [-1, 1] }
  const own = graph.copy()
  own.inputs.splice(0, Infinity, declare(input, shape))
  own.shapes.set(input, shape)
  own.nodes = []
  own.touch()
  const name = own.node('Identity', [build(own, input, [place])])
  own.outputs.splice(0, Infinity, create(ValueInfoProtoSchema, { name }))
  const session = await openSession(own.toBytes())
  try {
    const all = { rows: values.length, inputs: { [input]: values } }
    for (let start = 0; start < values.length; start += chunk) {
      const feeds = feedsOf(session, all, start, Math.min(chunk, values.length - start))
      const found = (await session.run(feeds))[name]!.data as Int32Array | BigInt64Array
      for (const row of found) yield Number(row)
    }
  } finally {
    await session.release()
  }
}

import { product } from '../../base/dims.ts'
import type { LiveColumns, LiveTable } from '../../contracts/live-tables.ts'
import { intAttribute } from '../../graph/attributes.ts'
import { featureFinder, type Segment } from '../../graph/columns.ts'
import { isTable } from '../../graph/external-data.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type TensorProto } from '../../graph/onnx_pb.ts'
import { planNames } from '../sides/tensor-names.ts'

/** A look-up of a table's rows; its ids are columns of an input. */
export interface LookUp {
  gather: NodeProto
  segment: Segment & { table: string }
}

/** The live tables of a graph, and their look-ups. */
export interface FoundTables {
  input: string
  inputWidth: number
  /** By name of the constant. */
  tables: Map<string, LiveTable>
  lookUps: LookUp[]
}

/** The constants of a graph before it is optimised: a table that the compiler has rewritten has other rows. */
export function constantsOf(graph: Graph): ReadonlyMap<string, TensorProto> {
  return new Map(graph.constants)
}

/**
 * The tables that live columns are looked up in: each column in one table, which is read by look-ups alone. Returns a reason if
 * that is not so. `saved`: the constants before the graph was optimised.
 */
export function findLiveTables(
  graph: Graph,
  { input, columns }: LiveColumns,
  saved: ReadonlyMap<string, TensorProto>,
): FoundTables | string {
  const looked = lookUpsOf(graph, input)
  if (typeof looked === 'string') return looked
  const ofColumn = new Map<number, Set<string>>()
  for (const { segment } of looked)
    for (const column of segment.columns)
      ofColumn.set(column, (ofColumn.get(column) ?? new Set<string>()).add(segment.table))
  const tables = new Map<string, LiveTable>()
  for (const live of columns) {
    const [table, another] = ofColumn.get(live.column) ?? []
    const where = `column ${live.column} of ${input}`
    if (table === undefined) return `${where} is not looked up in a table`
    if (another !== undefined) return `${where} is looked up in more than one table: ${table} and ${another}`
    const problem = problemOf(graph, table, saved)
    if (problem !== undefined) return problem
    const [rows, width] = graph.dimsOf(table) as [number, number]
    if (live.offset + live.ids > rows) return `the table ${table} has ${rows} rows, fewer than ${where} has ids`
    const known = tables.get(table) ?? { overlay: planNames.overlay(tables.size), width, columns: [] }
    known.columns.push(live)
    tables.set(table, known)
  }
  const inputWidth = product(graph.shapes.get(input)?.dims.slice(1) ?? [])
  return { input, inputWidth, tables, lookUps: looked.filter(({ segment }) => tables.has(segment.table)) }
}

function problemOf(graph: Graph, table: string, saved: ReadonlyMap<string, TensorProto>): string | undefined {
  if (saved.get(table) !== graph.constants.get(table)) return `the compiler rewrites the table ${table}`
  if (!isTable(graph, table)) return `the table ${table} is not read by look-ups alone`
  const fixed = graph.users(table).find((node) => graph.constants.has(node.input[1]!))
  return fixed && `the node ${fixed.name} looks up fixed rows of the table ${table}`
}

/** The look-ups whose ids come from an input; a reason if one of them can't be followed to its columns. */
function lookUpsOf(graph: Graph, input: string): LookUp[] | string {
  const features = featureFinder(graph)
  const lookUps: LookUp[] = []
  for (const gather of graph.nodes) {
    const [table, ids] = gather.input as [string, string]
    if (gather.opType !== 'Gather' || graph.dimsOf(table)?.length !== 2) continue
    if (graph.constants.get(table)?.dataType !== DataType.FLOAT || !dependsOn(graph, ids, input)) continue
    const [segment, ...more] = (intAttribute(gather, 'axis', 0) === 0 && features(gather.output[0]!)) || []
    if (segment?.table !== table || segment.input !== input || more.length > 0)
      return `the node ${gather.name} looks up rows of ${table} by ids that are computed from more than one column each`
    lookUps.push({ gather, segment: { ...segment, table } })
  }
  return lookUps
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

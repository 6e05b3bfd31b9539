import { type LiveTable, rowsOfPage } from '../../contracts/live-tables.ts'
import type { FieldIds } from '../int8/quantised-table.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { declare, floatShape, type TensorShape } from '../ir/tensor-shape.ts'
import { columnwise, type Found } from '../operators/columnwise.ts'
import { pickColumns, sideBySide } from '../sides/side-columns.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'
import type { FoundTables } from './compiled-graph.ts'
import { isLookUp } from './find-live-tables.ts'

/** Per input of ids, the ids that each column can hold, if known. */
type Fields = Record<string, FieldIds[]>

/** With more runs of columns, their nodes cost more than to replace rows of other columns too. */
const mostRuns = 6

/**
 * A variant in which every look-up of a live table takes changed rows from the table's overlay. Throws an Error if a
 * table is read in any other way.
 */
export function overlayVariant(variant: VariantGraph, found: FoundTables, fields: Fields): VariantGraph {
  const graph = variant.graph.copy()
  const overlaid = { ...variant, graph }
  const readers = graph.nodes.filter(({ input }) => input.some((name) => found.has(name)))
  const other = readers.find((node) => !isLookUp(graph, node))
  if (other !== undefined) throw new Error(`${other.opType} ${other.name} reads a live table other than by its rows`)
  const runs = runsIn(overlaid, fields)
  const splits = readers.map((node) => runs(node, found.get(node.input[0]!)!))
  for (const [i, node] of readers.entries()) replaceLookUp(graph, node, found.get(node.input[0]!)!, splits[i]!)
  graph.tidy()
  return overlaid
}

/** Neighbouring columns of a look-up's ids, whose rows may change or can't. */
interface Run {
  positions: number[]
  changes: boolean
}

/** Finds the columns of look-ups whose rows may change; undefined where all may. */
function runsIn(
  { graph, rows }: VariantGraph,
  fields: Fields,
): (lookUp: NodeProto, live: LiveTable) => Run[] | undefined {
  const found: Found = new Map()
  return ({ input: [, ids] }, live) => {
    const source = columnwise(graph, ids!, found)
    const packed = rows.find(({ name }) => name === source?.input)
    if (source?.added === undefined || packed === undefined || graph.shapes.get(ids!)?.dims.length !== 2)
      return undefined
    const all: Run[] = []
    for (const [position, column] of source.columns.entries()) {
      const field = fields[packed.input]?.[packed.columns[column]!]
      const changes = field === undefined || mayChange(live, field.offset + source.added[position]!, field.ids)
      const last = all.at(-1)
      if (last?.changes === changes) last.positions.push(position)
      else all.push({ positions: [position], changes })
    }
    const some = all.filter(({ changes }) => changes).length
    return some === 0 || (all.length > 1 && all.length <= mostRuns) ? all : undefined
  }
}

/** Whether deltas can name one of these rows. */
function mayChange({ columns }: LiveTable, start: number, count: number): boolean {
  return columns.some(({ first, ids }) => first < start + count && start < first + ids)
}

/** Has the users of a look-up read its rows, or those of the overlay. */
function replaceLookUp(graph: Graph, { input, output }: NodeProto, live: LiveTable, runs: Run[] | undefined): void {
  const [table, ids] = input as [string, string]
  const rows = graph.shapes.get(output[0]!)
  const idShape = graph.shapes.get(ids)
  const look = (picked: string, shape = rows) =>
    graph.node('Gather', [table, picked], { attributes: { axis: 0 }, ...(shape && { shape }) })
  if (runs === undefined || rows === undefined || idShape === undefined) {
    graph.replace(output[0]!, replaceRows(graph, live, look(ids), ids))
    return
  }
  if (!runs.some(({ changes }) => changes)) return
  const parts = runs.map(({ positions, changes }) => {
    const picked = pickColumns(graph, ids, positions, idShape)
    const looked = look(picked, { ...rows, dims: rows.dims.with(1, positions.length) })
    return changes ? replaceRows(graph, live, looked, picked) : looked
  })
  graph.replace(output[0]!, sideBySide(graph, parts, rows))
}

/** row = slot > 0 ? overlay[slot] : row, see `LiveTable`. `ids`: […]; `rows`: […, width]. */
function replaceRows(graph: Graph, live: LiveTable, rows: string, ids: string): string {
  const { overlay, pages, slots, width } = live
  const integers = { dtype: DataType.INT32, dims: [-1] }
  if (!graph.inputs.some(({ name }) => name === overlay)) {
    addInput(graph, overlay, floatShape(-1, width), 'changed')
    addInput(graph, pages, integers, 'all')
    addInput(graph, slots, integers, 'all')
  }
  const dims = graph.shapes.get(ids)?.dims
  const shaped = (dtype: DataType, more: number[] = []) => dims && { shape: { dtype, dims: [...dims, ...more] } }
  const whole = (opType: string, inputs: string[], attributes: Record<string, number> = {}) =>
    graph.node(opType, inputs, { attributes, ...shaped(DataType.INT32) })
  const number = (value: number) => graph.constant(`int32:${value}`, Int32Array.of(value), [])
  const isWide = graph.shapes.get(ids)?.dtype !== DataType.INT32
  // Those below 0 count from the end.
  const row = whole('Mod', [isWide ? whole('Cast', [ids], { to: DataType.INT32 }) : ids, number(live.rows)])
  const page = whole('Gather', [pages, whole('Div', [row, number(rowsOfPage)])], { axis: 0 })
  const slot = whole('Gather', [slots, whole('Add', [row, page])], { axis: 0 })
  const isChanged = graph.node('Greater', [slot, number(0)], { ...shaped(DataType.BOOL) })
  const each = graph.node('Unsqueeze', [isChanged, graph.integers([-1])], { ...shaped(DataType.BOOL, [1]) })
  const shape = graph.shapes.get(rows)
  const known = shape && { shape }
  const changed = graph.node('Gather', [overlay, slot], { attributes: { axis: 0 }, ...known })
  return graph.node('Where', [each, changed, rows], { ...known })
}

function addInput(graph: Graph, name: string, shape: TensorShape, count: string): void {
  graph.inputs.push(declare(name, shape, `${name} ${count}`))
  graph.shapes.set(name, shape)
}

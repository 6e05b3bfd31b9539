import type { LiveTable } from '../../contracts/live-tables.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../graph/onnx_pb.ts'
import { declare, floatShape, type TensorShape } from '../../graph/tensor-shape.ts'
import type { OverlayEmitter, VariantGraph } from '../sides/contract.ts'
import { pickColumns, sideBySide } from '../sides/side-columns.ts'
import { planNames } from '../sides/tensor-names.ts'
import type { FoundTables } from './find-live-tables.ts'

/** The shape of the rows' places in their overlays: those of ids. */
export const slotsShape = (width: number) => ({ dtype: DataType.INT32, dims: [-1, width] })

/** With more runs of columns, their nodes cost more than to replace rows of other columns too. */
const mostRuns = 6

/** Replaces rows of live tables in the variants of a graph that is split by side. */
export function createOverlayEmitter({ tables }: Pick<FoundTables, 'tables'>): OverlayEmitter {
  return {
    runs: (table, columns) => runsOf(tables.get(table), columns),
    replace(graph, table, columns, rows, slots) {
      const live = tables.get(table)
      return live && columns.some((column) => isLive(live, column)) ? replaceRows(graph, live, rows, slots()) : rows
    },
  }
}

/** The positions of columns, in runs that are live or not; all together where these were too many. */
function runsOf(live: LiveTable | undefined, columns: readonly number[]): number[][] {
  const all = [...columns.keys()]
  if (all.length === 0) return []
  if (live === undefined) return [all]
  const runs: number[][] = []
  for (const i of all) {
    const last = runs.at(-1)
    if (last !== undefined && isLive(live, columns[last[0]!]!) === isLive(live, columns[i]!)) last.push(i)
    else runs.push([i])
  }
  return runs.length > mostRuns ? [all] : runs
}

const isLive = (live: LiveTable, column: number) => live.columns.some((one) => one.column === column)

/** row = slot > 0 ? overlay[slot] : row. `rows`: [batch, …, width]; `slots`: [batch, …]. */
function replaceRows(graph: Graph, { overlay, width }: LiveTable, rows: string, slots: string): string {
  if (!graph.inputs.some(({ name }) => name === overlay)) {
    graph.inputs.push(declare(overlay, floatShape(-1, width), 'changed'))
    graph.shapes.set(overlay, floatShape(-1, width))
  }
  const shape = graph.shapes.get(rows)!
  const zero = graph.constant('no-slot', Int32Array.of(0), [])
  const ids = { dtype: DataType.BOOL, dims: graph.shapes.get(slots)!.dims }
  const isChanged = graph.node('Greater', [slots, zero], { shape: ids })
  const each = graph.node('Unsqueeze', [isChanged, graph.integers([-1])], { shape: { ...ids, dims: [...ids.dims, 1] } })
  const changed = graph.node('Gather', [overlay, slots], { attributes: { axis: 0 }, shape })
  return graph.node('Where', [each, changed, rows], { shape })
}

/** The same in a whole graph, which takes the rows' places as one more input. */
export function overlayWhole(whole: Graph, found: FoundTables): VariantGraph['graph'] {
  const graph = whole.copy()
  const { slots } = planNames
  const shape = slotsShape(found.inputWidth)
  graph.inputs.push(declare(slots, shape))
  graph.shapes.set(slots, shape)
  for (const { gather, segment } of found.lookUps) {
    const live = found.tables.get(segment.table)!
    if (!segment.columns.some((column) => isLive(live, column))) continue
    replaceLookUp(graph, live, gather, segment.columns, shape)
  }
  return graph
}

/** Has the users of a look-up read its rows, or those of the overlay. `shape`: of the rows' places, for all columns. */
function replaceLookUp(
  graph: Graph,
  live: LiveTable,
  { input, output: [output] }: NodeProto,
  columns: readonly number[],
  shape: TensorShape,
): void {
  const [table, ids] = input as [string, string]
  const idShape = graph.shapes.get(ids)!
  const users = graph.users(output!)
  const slotsOf = (picked: readonly number[]) => pickColumns(graph, planNames.slots, picked, shape)
  const runs = idShape.dims.length === 2 ? runsOf(live, columns) : [[...columns.keys()]]
  const rows = graph.shapes.get(output!)!
  const parts = runs.map((run) => {
    const picked = run.map((i) => columns[i]!)
    const looked =
      runs.length === 1
        ? output!
        : graph.node('Gather', [table, pickColumns(graph, ids, run, idShape)], {
            attributes: { axis: 0 },
            shape: { ...rows, dims: rows.dims.with(1, run.length) },
          })
    if (!picked.some((column) => isLive(live, column))) return looked
    const slots =
      idShape.dims.length === 2
        ? slotsOf(picked)
        : graph.node('Reshape', [slotsOf(picked), graph.integers(idShape.dims)], {
            shape: { dtype: DataType.INT32, dims: idShape.dims },
          })
    return replaceRows(graph, live, looked, slots)
  })
  const whole = sideBySide(graph, parts, rows)
  for (const user of users) user.input = user.input.map((name) => (name === output ? whole : name))
  graph.touch()
}

import type { LiveTable } from '../../contracts/live-tables.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType } from '../../graph/onnx_pb.ts'
import { declare, floatShape } from '../../graph/tensor-shape.ts'
import type { OverlayEmitter, VariantGraph } from '../sides/contract.ts'
import { pickColumns } from '../sides/side-columns.ts'
import { planNames } from '../sides/tensor-names.ts'
import type { FoundTables } from './find-live-tables.ts'

/** The shape of the rows' places in their overlays: those of ids. */
export const slotsShape = (width: number) => ({ dtype: DataType.INT32, dims: [-1, width] })

/** Replaces rows of live tables in the variants of a graph that is split by side. */
export function createOverlayEmitter({ tables }: Pick<FoundTables, 'tables'>): OverlayEmitter {
  return (graph, table, columns, rows, slots) => {
    const live = tables.get(table)
    if (live === undefined || !columns.some((column) => isLive(live, column))) return undefined
    return replaceRows(graph, live, rows, slots())
  }
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
    const output = gather.output[0]!
    const ids = graph.shapes.get(gather.input[1]!)!.dims
    const picked = pickColumns(graph, slots, segment.columns, shape)
    const placed =
      ids.length === 2
        ? picked
        : graph.node('Reshape', [picked, graph.integers(ids)], { shape: { dtype: DataType.INT32, dims: ids } })
    const users = graph.users(output)
    const row = replaceRows(graph, live, output, placed)
    for (const user of users) user.input = user.input.map((name) => (name === output ? row : name))
    graph.touch()
  }
  return graph
}

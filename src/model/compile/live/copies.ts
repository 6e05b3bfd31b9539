import { floatsOf } from '../../graph/constants.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type TensorProto } from '../../graph/onnx_pb.ts'
import { tablePieces } from '../../graph/table-pieces.ts'

/**
 * Another constant with a table's values, unchanged or transposed: exporters write a weight that a model uses twice, as where
 * products share a table's weights, twice. undefined where there is none, or the table has one value alone.
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

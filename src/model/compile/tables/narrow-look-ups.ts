import { create } from '@bufbuild/protobuf'
import { product } from '../../base/dims.ts'
import type { NarrowFormat } from '../../contracts/compiled-plan.ts'
import { intAttribute } from '../../graph/attributes.ts'
import { isExternal } from '../../graph/constants.ts'
import { externalPlace, isTable } from '../../graph/external-data.ts'
import type { Graph } from '../../graph/graph.ts'
import {
  TensorProto_DataType as DataType,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
} from '../../graph/onnx_pb.ts'
import type { VariantGraph } from '../sides/contract.ts'
import { type NarrowTable, writeNarrowTable } from './narrow-table.ts'

/** Stores the large tables of graphs in a narrow format; each table once, whatever graphs look it up. */
export interface Narrower {
  /** Tables that have been stored. */
  readonly tables: number
  /** The variant with narrow tables; their files are beside the others of its graph. Throws as `writeNarrowTable`. */
  narrow(variant: VariantGraph): VariantGraph
}

/**
 * A look-up of a table in a file becomes one of narrow rows, which are widened after it: float16 by Cast, int8 by
 * DequantizeLinear with the scales of the rows. Tables that are read in other ways stay float32.
 */
export function createNarrower(format: NarrowFormat): Narrower {
  const written = new Map<string, NarrowTable>()
  const tableOf = (graph: Graph, tensor: TensorProto) => {
    const { location, start } = externalPlace(tensor)
    const key = `${location}:${start}:${tensor.dims}`
    const table = written.get(key) ?? writeNarrowTable(graph, tensor, format)
    written.set(key, table)
    return table
  }
  return {
    get tables() {
      return written.size
    },
    narrow(variant) {
      const graph = variant.graph.copy()
      const lookUps = new Map<string, NodeProto[]>()
      for (const node of graph.nodes) {
        const name = node.input[0]!
        if (node.opType === 'Gather' && isLarge(graph, name)) lookUps.set(name, [...(lookUps.get(name) ?? []), node])
      }
      for (const [name, gathers] of lookUps)
        if (gathers.every((gather) => canWiden(graph, gather))) {
          const table = addTable(graph, tableOf(graph, graph.constants.get(name)!), format)
          for (const gather of gathers) widen(graph, gather, table)
        }
      graph.tidy()
      return { ...variant, graph }
    },
  }
}

/** Whether a constant is a float32 table in a file, which is read by look-ups alone. */
function isLarge(graph: Graph, name: string): boolean {
  const tensor = graph.constants.get(name)
  if (tensor === undefined || tensor.dataType !== DataType.FLOAT || tensor.dims.length !== 2) return false
  return isExternal(tensor) && isTable(graph, name)
}

/** Whether all dimensions of a look-up's rows but the first are known. */
function canWiden(graph: Graph, gather: NodeProto): boolean {
  const dims = graph.shapes.get(gather.output[0]!)?.dims ?? []
  return intAttribute(gather, 'axis', 0) === 0 && dims.length > 1 && dims.slice(1).every((side) => side > 0)
}

/** Names of a narrow table's constants in a graph. */
interface AddedTable {
  rows: string
  scales: string | undefined
}

function addTable(graph: Graph, { rows, scales }: NarrowTable, format: NarrowFormat): AddedTable {
  const add = (tensor: TensorProto, wanted: string) => {
    const name = graph.fresh(wanted)
    graph.constants.set(name, create(TensorProtoSchema, { ...tensor, name }))
    return name
  }
  const name = add(rows, `${rows.name}/${format}`)
  return { rows: name, scales: scales && add(scales, `${name}/scales`) }
}

/** Has the users of a look-up read the same rows of a narrow table. */
function widen(graph: Graph, gather: NodeProto, { rows: table, scales }: AddedTable): void {
  const [, ids] = gather.input as [string, string]
  const output = gather.output[0]!
  const shape = graph.shapes.get(output)!
  const axis = { attributes: { axis: 0 } }
  if (scales === undefined) {
    const half = graph.node('Gather', [table, ids], { ...axis, shape: { ...shape, dtype: DataType.FLOAT16 } })
    graph.replace(output, graph.node('Cast', [half], { attributes: { to: DataType.FLOAT }, shape }))
    return
  }
  // The scales of rows are those of an axis, so that the rows have one dimension.
  const isFlat = shape.dims.length === 2
  const flat = isFlat ? ids : graph.node('Reshape', [ids, graph.integers([-1])])
  const count = product(shape.dims.slice(0, -1))
  const flatShape = { dtype: DataType.INT8, dims: [count, shape.dims.at(-1)!] }
  const bytes = graph.node('Gather', [table, flat], { ...axis, shape: flatShape })
  const steps = graph.node('Gather', [scales, flat], { ...axis, shape: { ...shape, dims: [count] } })
  const rows = graph.node('DequantizeLinear', [bytes, steps], {
    ...axis,
    shape: { ...flatShape, dtype: DataType.FLOAT },
  })
  const whole = isFlat ? rows : graph.node('Reshape', [rows, graph.integers([-1, ...shape.dims.slice(1)])], { shape })
  graph.replace(output, whole)
}

import { intAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { isPlainReshape } from '../ir/reshape.ts'
import { pickedColumns } from '../operators/columns.ts'
import { bypass, type Rule } from './rule.ts'

/**
 * Slice(Gather(table, ids)) → Gather(table's columns, ids): unused columns of a
 * table are not looked up, and the result consists of complete rows, which can be followed to their ids.
 */
const sliceTable: Rule = (graph, node) => {
  if (node.opType !== 'Slice' || graph.isOutput(node.output[0]!)) return false
  const [x] = node.input
  const columns = pickedColumns(graph, node, node.output[0]!)
  const read = graph.producer(x!)
  const gather = read !== undefined && isPlainReshape(graph, read) ? graph.producer(read.input[0]!) : read
  if (columns === undefined || columns.length === 0 || gather?.opType !== 'Gather') return false
  if (intAttribute(gather, 'axis', 0) !== 0) return false
  const [table, ids] = gather.input as [string, string]
  const dims = graph.dimsOf(table)
  const shape = graph.shapes.get(x!)
  // One id per row.
  if (dims?.length !== 2 || shape?.dims.length !== 2 || shape.dims[0] !== -1 || shape.dims[1] !== dims[1]) return false
  const found = graph.shapes.get(gather.output[0]!)
  const cut = columnsOf(graph, table, dims as [number, number], columns)
  if (cut === undefined || found === undefined) return false
  const width = columns.length
  const looked = graph.node('Gather', [cut, ids], {
    attributes: { axis: 0 },
    shape: { ...found, dims: found.dims.with(-1, width) },
  })
  const flat = { ...shape, dims: [-1, width] }
  return bypass(graph, node, graph.node('Reshape', [looked, graph.integers(flat.dims)], { shape: flat }))
}

/**
 * Slice, Gather and Split over the fields of rows that are looked up, [batch, fields, dim] → the same over their ids,
 * so that fields of different sides are looked up apart.
 */
const sliceFields: Rule = (graph, node) => {
  if (node.opType !== 'Slice' && node.opType !== 'Gather' && node.opType !== 'Split') return false
  const looked = graph.producer(node.input[0]!)
  if (looked?.opType !== 'Gather' || looked === node || intAttribute(looked, 'axis', 0) !== 0) return false
  const [table, ids] = looked.input as [string, string]
  const idShape = graph.shapes.get(ids)
  if (graph.dimsOf(table)?.length !== 2 || idShape?.dims.length !== 2 || idShape.dims[0] !== -1) return false
  const picks = node.output.map((output) => pickedColumns(graph, node, output))
  if (picks.some((fields) => fields === undefined || fields.length === 0)) return false
  const shapes = node.output.map((output) => graph.shapes.get(output))
  if (shapes.some((shape) => shape === undefined)) return false
  node.output.forEach((output, i) => {
    const fields = picks[i]!
    const shape = shapes[i]!
    const dims = [-1, fields.length]
    const picked = graph.node('Gather', [ids, graph.integers(fields)], {
      attributes: { axis: 1 },
      shape: { ...idShape, dims },
    })
    const found = { ...shape, dims: [...dims, shape.dims.at(-1)!] }
    const rows = graph.node('Gather', [table, picked], { attributes: { axis: 0 }, shape: found })
    // A Gather by one index drops the dimension.
    const value = shape.dims.length === 3 ? rows : graph.node('Reshape', [rows, graph.integers(shape.dims)], { shape })
    graph.replace(output, value)
  })
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  return true
}

const cutTables = new WeakMap<Graph, Map<string, string>>()

/** Columns of a table, one constant for equal selections. Returns its name. */
function columnsOf(
  graph: Graph,
  table: string,
  [rows, width]: [number, number],
  columns: number[],
): string | undefined {
  const known = cutTables.get(graph) ?? new Map<string, string>()
  cutTables.set(graph, known)
  const key = `${table}:${columns.join()}`
  const name = known.get(key)
  if (name !== undefined && graph.constants.has(name)) return name
  const values = graph.floats(table)
  if (values === undefined) return undefined
  const cut = new Float32Array(rows * columns.length)
  for (let row = 0; row < rows; row++)
    columns.forEach((column, i) => {
      cut[row * columns.length + i] = values[row * width + column]!
    })
  const made = graph.constant(`${table}/columns`, cut, [rows, columns.length])
  known.set(key, made)
  return made
}

export const gatherRules: Rule[] = [sliceTable, sliceFields]

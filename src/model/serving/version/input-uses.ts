import { positive, product } from '../../../base/arrays.ts'
import type { InputUse } from '../../contracts/saved-signature.ts'
import { intAttribute, intsAttribute } from '../../graph/ir/attributes.ts'
import { floatsOf, integersOf, isExternal } from '../../graph/ir/constants.ts'
import type { Graph } from '../../graph/ir/graph.ts'
import type { NodeProto } from '../../graph/ir/onnx_pb.ts'
import { traceShapes } from '../../graph/ir/shapes.ts'
import type { LookedUp } from '../../graph/sides/side-columns.ts'

/*
 * The uses of inputs in a graph: the tables that they share, the id of padding, and which of them describe the same
 * items, position by position. People see them as a proposal, so that they need not be certain.
 */

/** The use of each input, by name. `lookedUp`: the tables behind more than plain look-ups. */
export async function usesOfInputs(
  graph: Graph,
  lookedUp: ReadonlyMap<string, LookedUp>,
): Promise<Map<string, InputUse>> {
  // Without shapes, what meets remains open.
  await traceShapes(graph).catch(() => undefined)
  const names = graph.inputs.map(({ name }) => name)
  const positions = new Map(names.map((name) => [name, positionsOf(graph, name)]))
  const canonical = canonicalTables(graph)
  return new Map(
    names.map((name) => {
      const direct = tablesOf(graph, name)
      const tables = direct.length > 0 ? direct : [...(lookedUp.get(name)?.tables ?? [])]
      const use = {
        tables: [...new Set(tables.map(canonical))],
        padding: comparedWith(graph, name) ?? rowOfZeros(graph, tables),
        meets: metBy(graph, name, positions),
        apart: isTakenApart(graph, name, positions.get(name)!),
      }
      return [name, use]
    }),
  )
}

/** Operators that keep every element and its place among the others. */
const passing = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'])

/** An input, and its elements in another shape or type. */
function aliasesOf(graph: Graph, input: string): string[] {
  const found = [input]
  for (const name of found)
    for (const { opType, input: read, output } of graph.users(name))
      if (passing.has(opType) && read[0] === name && !found.includes(output[0]!)) found.push(output[0]!)
  return found
}

/** The constants whose rows an input chooses. */
function tablesOf(graph: Graph, input: string): string[] {
  return aliasesOf(graph, input).flatMap((name) =>
    graph
      .users(name)
      .flatMap((node) =>
        node.opType === 'Gather' && node.input[1] === name && intAttribute(node, 'axis', 0) === 0
          ? node.input.slice(0, 1).filter((table) => (graph.dimsOf(table)?.length ?? 0) > 1)
          : [],
      ),
  )
}

/** The first of the tables with the same values: exporters may write one table twice. */
function canonicalTables(graph: Graph): (table: string) => string {
  const known: string[] = []
  const firsts = new Map<string, string>()
  return (table) => {
    const found = firsts.get(table) ?? known.find((other) => isSameTable(graph, table, other)) ?? table
    if (found === table && !known.includes(table)) known.push(table)
    firsts.set(table, found)
    return found
  }
}

function isSameTable(graph: Graph, a: string, b: string): boolean {
  const [one, other] = [graph.constants.get(a), graph.constants.get(b)]
  if (one === undefined || other === undefined || one.dims.join() !== other.dims.join()) return false
  if (isExternal(one) || isExternal(other) || one.rawData.length === 0) return false
  return Buffer.compare(one.rawData, other.rawData) === 0
}

/** The id that a graph compares an input with to see where it has no value. */
function comparedWith(graph: Graph, input: string): number | undefined {
  for (const name of aliasesOf(graph, input))
    for (const { opType, input: operands } of graph.users(name)) {
      const isFirst = operands[0] === name
      const value = scalarOf(graph, operands[isFirst ? 1 : 0])
      if (value === undefined) continue
      if (opType === 'Equal' && value >= 0) return value
      if (opType === (isFirst ? 'Greater' : 'Less') && value === 0) return 0
      if (opType === (isFirst ? 'GreaterOrEqual' : 'LessOrEqual') && value === 1) return 0
    }
  return undefined
}

/** The value of a constant of one element. */
function scalarOf(graph: Graph, name: string | undefined): number | undefined {
  const tensor = graph.constants.get(name ?? '')
  if (tensor === undefined || product(tensor.dims.map(Number)) !== 1) return undefined
  return integersOf(tensor)?.[0] ?? floatsOf(tensor)?.[0]
}

/** The only row that is all zeros in each of these tables, or the first where it is one. */
function rowOfZeros(graph: Graph, tables: readonly string[]): number | undefined {
  let zeros: number[] | undefined
  for (const table of tables) {
    const [values, dims] = [graph.floats(table), graph.dimsOf(table)]
    if (values === undefined || dims === undefined) return undefined
    const width = product(dims.slice(1))
    const isZero = (row: number) => values.subarray(row * width, (row + 1) * width).every((value) => value === 0)
    const rows = zeros ?? Array.from({ length: dims[0]! }, (_, row) => row)
    zeros = rows.filter(isZero)
  }
  return zeros?.includes(0) || zeros?.length === 1 ? zeros[0] : undefined
}

/** Whether the columns of an input have uses of their own, and do not stand for values of one list. */
function isTakenApart(graph: Graph, input: string, positions: ReadonlySet<string>): boolean {
  const size = positions.size === 0 ? undefined : graph.shapes.get(input)?.dims[1]
  return [...aliasesOf(graph, input), ...positions].some((name) => {
    const dims = graph.shapes.get(name)?.dims
    return graph.users(name).some((node) => {
      // Embeddings that others follow have places of their own.
      if (node.opType === 'Concat') return dims?.length === 3 && positive(intAttribute(node, 'axis', 0), 3) === 1
      if (node.input[0] !== name) return false
      if (cutting.has(node.opType)) return cutsColumns(graph, node)
      // Embeddings side by side: [batch, n, dim] becomes [batch, n · dim].
      const after = graph.shapes.get(node.output[0]!)?.dims
      return dims?.[1] === size && dims?.length === 3 && passing.has(node.opType) && after?.length === 2
    })
  })
}

const cutting = new Set(['Slice', 'Split', 'Gather'])

function cutsColumns(graph: Graph, node: NodeProto): boolean {
  const axes = node.opType === 'Slice' && node.input[3] ? graph.integersOf(node.input[3]) : undefined
  const rank = graph.shapes.get(node.input[0]!)?.dims.length ?? 2
  return (axes ?? [intAttribute(node, 'axis', 0)]).some((axis) => positive(axis, rank) === 1)
}

/** The tensors [batch, n, …] that hold something of each of an input's n columns, in their order. */
function positionsOf(graph: Graph, input: string): Set<string> {
  const found = new Set<string>()
  const [, size = 0, ...others] = graph.shapes.get(input)?.dims ?? []
  if (size < 2 || others.length > 0) return found
  found.add(input)
  for (const name of found)
    for (const node of graph.users(name)) {
      if (mixesColumns(graph, node, name)) continue
      for (const output of node.output) if (graph.shapes.get(output)?.dims[1] === size) found.add(output)
    }
  return found
}

/** Whether a node's values are computed from several positions, in whatever shape they are. */
function mixesColumns(graph: Graph, node: NodeProto, name: string): boolean {
  const rank = graph.shapes.get(name)?.dims.length ?? 0
  if (node.opType.startsWith('Reduce')) {
    const axes = intsAttribute(node, 'axes') ?? (node.input[1] ? graph.integersOf(node.input[1]) : undefined)
    return axes === undefined || axes.some((axis) => positive(axis, rank) === 1)
  }
  return (node.opType === 'MatMul' || node.opType === 'Gemm') && rank === 2
}

/**
 * The inputs of several columns that one meets: a node combines both position by position. An input of one column, such
 * as lengths, meets where what is computed from it does.
 */
function metBy(graph: Graph, input: string, positions: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const own = positions.get(input)!
  const reached = own.size > 0 ? own : followersOf(graph, input)
  const met = new Set<string>()
  for (const name of reached)
    for (const node of graph.users(name)) {
      for (const [other, theirs] of positions) {
        if (other === input || met.has(other) || theirs.size === 0) continue
        const size = graph.shapes.get(other)!.dims[1]
        const keeps = node.output.some((output) => graph.shapes.get(output)?.dims[1] === size)
        if (keeps && node.input.some((read) => theirs.has(read) && !own.has(read))) met.add(other)
      }
    }
  return [...met]
}

/** Everything that is computed from a tensor. */
function followersOf(graph: Graph, input: string): Set<string> {
  const found = new Set([input])
  for (const name of found) for (const node of graph.users(name)) for (const output of node.output) found.add(output)
  return found
}

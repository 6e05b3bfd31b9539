import { intAttribute } from '../ir/attributes.ts'
import { isPlain } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'

/**
 * Leaves differences out of concatenations that a weight multiplies, `[a, b, a − b]·W = [a, b]·(T·W)`: T, of 0, 1 and
 * −1, adds the rows of W that multiply a difference to those of its parts. DIN's first layer (Zhou et al., KDD 2018)
 * reads three tensors instead of four; T·W is little work, though W changes at each step of training.
 *
 * `weights`: the constants that are trained. Returns how many products were changed.
 */
export function leaveOutDifferences(graph: Graph, weights: ReadonlySet<string>): number {
  let changed = 0
  for (const node of [...graph.nodes]) {
    const [x, weight] = node.input as [string, string]
    const concat = graph.producer(x)
    if (
      !weights.has(weight) ||
      !(node.opType === 'MatMul' || (node.opType === 'Gemm' && isPlain(node))) ||
      concat?.opType !== 'Concat'
    )
      continue
    const parts = partsOf(graph, concat)
    const units = graph.dimsOf(weight)?.[1]
    if (parts === undefined || units === undefined || !graph.isPrivate(x, node)) continue
    const kept = parts.filter(({ of }) => of === undefined)
    if (kept.length === parts.length) continue
    const columns = kept.reduce((sum, { width }) => sum + width, 0)
    const all = parts.reduce((sum, { width }) => sum + width, 0)
    const shape = floatShape(graph.shapes.get(x)!.dims[0]!, columns)
    const less = graph.node(
      'Concat',
      kept.map(({ name }) => name),
      { attributes: { axis: 1 }, shape },
    )
    const moved = graph.constant(`${weight}/moved`, movedRows(parts, columns, all), [columns, all])
    const product = graph.node('MatMul', [moved, weight], { shape: floatShape(columns, units) })
    node.input = [less, product, ...node.input.slice(2)]
    graph.touch()
    changed++
  }
  graph.tidy()
  return changed
}

interface Part {
  name: string
  width: number
  /** The parts, by their index, that this is the difference of. */
  of?: [number, number]
}

/** The parts of a concatenation of columns; undefined where it is another one, or not all widths are known. */
function partsOf(graph: Graph, concat: NodeProto): Part[] | undefined {
  const widths = concat.input.map((name) => graph.shapes.get(name)?.dims[1])
  const rank = graph.shapes.get(concat.output[0]!)?.dims.length
  if (rank !== 2 || Math.abs(intAttribute(concat, 'axis', 0)) !== 1) return undefined
  if (!widths.every((width): width is number => width !== undefined && width > 0)) return undefined
  return concat.input.map((name, i): Part => {
    const node = graph.producer(name)
    const [a, b] = node?.opType === 'Sub' ? node.input.map((part) => concat.input.indexOf(part)) : []
    const isOfBoth = a !== undefined && b !== undefined && a >= 0 && b >= 0
    const areAlike = isOfBoth && widths[a] === widths[i] && widths[b] === widths[i]
    return { name, width: widths[i]!, ...(areAlike && { of: [a, b] }) }
  })
}

/** T [columns, all], row-major. */
function movedRows(parts: readonly Part[], columns: number, all: number): Float32Array {
  const values = new Float32Array(columns * all)
  const rows = new Map<Part, number>()
  let row = 0
  for (const part of parts) {
    if (part.of !== undefined) continue
    rows.set(part, row)
    row += part.width
  }
  let column = 0
  for (const part of parts) {
    const targets: [Part, number][] = part.of
      ? [
          [parts[part.of[0]]!, 1],
          [parts[part.of[1]]!, -1],
        ]
      : [[part, 1]]
    for (const [target, sign] of targets)
      for (let i = 0; i < part.width; i++) values[(rows.get(target)! + i) * all + column + i]! += sign
    column += part.width
  }
  return values
}

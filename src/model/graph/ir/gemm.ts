import { floatAttribute, intAttribute } from './attributes.ts'
import type { Graph } from './graph.ts'
import type { NodeProto } from './onnx_pb.ts'
import { floatShape } from './tensor-shape.ts'

/** Whether a node is `Gemm(x, W, b?)` with constant W [k, n] and constant b [n], in canonical form. */
export function isGemm(graph: Graph, node: NodeProto | undefined): node is NodeProto {
  if (node?.opType !== 'Gemm' || node.domain !== '' || node.attribute.length > 0) return false
  const [, w, b] = node.input
  if (graph.floats(w!) === undefined || graph.dimsOf(w!)?.length !== 2) return false
  return b === undefined || vectorOf(graph, b, graph.dimsOf(w!)![1]!) !== undefined
}

/** Whether a Gemm is x·W + b, without factors and transposed operands. */
export function isPlain(gemm: NodeProto): boolean {
  return (
    floatAttribute(gemm, 'alpha', 1) === 1 &&
    floatAttribute(gemm, 'beta', 1) === 1 &&
    intAttribute(gemm, 'transA', 0) === 0 &&
    intAttribute(gemm, 'transB', 0) === 0
  )
}

/** W [k, n] and b [n]. */
export interface Weights {
  k: number
  n: number
  w: Float32Array
  b: Float32Array
}

/** Those of a canonical Gemm. */
export function weightsOf(graph: Graph, gemm: NodeProto): Weights {
  const [k, n] = graph.dimsOf(gemm.input[1]!) as [number, number]
  const b = gemm.input[2] === undefined ? new Float32Array(n) : vectorOf(graph, gemm.input[2], n)!
  return { k, n, w: graph.floats(gemm.input[1]!)!, b }
}

/** A float constant of one value per column, or one for all columns ([n], [1, n], [1] or []), as [n]. */
export function vectorOf(graph: Graph, name: string, n: number): Float32Array | undefined {
  const values = graph.floats(name)
  const dims = graph.dimsOf(name)
  if (values === undefined || dims === undefined) return undefined
  if (values.length === 1 && dims.length <= 2) return new Float32Array(n).fill(values[0]!)
  if (values.length !== n || dims.at(-1) !== n || dims.length > 2) return undefined
  return values
}

/** The weights of products that read the same tensor, as those of one product: columns side by side. */
export function sideBySide(members: readonly Weights[]): Weights {
  const { k } = members[0]!
  const n = members.reduce((sum, member) => sum + member.n, 0)
  const [w, b] = [new Float32Array(k * n), new Float32Array(n)]
  let column = 0
  for (const member of members) {
    for (let i = 0; i < k; i++) w.set(member.w.subarray(i * member.n, (i + 1) * member.n), i * n + column)
    b.set(member.b, column)
    column += member.n
  }
  return { k, n, w, b }
}

/** Adds a canonical Gemm of `x` [batch, k], with constants named after `name`; returns its output. */
export function addGemm(graph: Graph, x: string, name: string, { k, n, w, b }: Weights, batch = -1): string {
  const constants = [graph.constant(`${name}/kernel`, w, [k, n]), graph.constant(`${name}/bias`, b, [n])]
  return graph.node('Gemm', [x, ...constants], { shape: floatShape(batch, n) })
}

/** The columns of `row` [batch, Σ sizes] as tensors of these sizes. */
export function takeApart(graph: Graph, row: string, sizes: readonly number[], batch = -1): string[] {
  if (sizes.length === 1) return [row]
  return graph.nodeOf('Split', [row, graph.integers(sizes)], sizes.length, {
    attributes: { axis: 1 },
    shapes: sizes.map((n) => floatShape(batch, n)),
  })
}

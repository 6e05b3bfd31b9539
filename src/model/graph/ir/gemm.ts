import { floatAttribute, intAttribute } from './attributes.ts'
import type { Graph } from './graph.ts'
import type { NodeProto } from './onnx_pb.ts'

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

/** W [k, n] and b [n] of a canonical Gemm. */
export function weightsOf(graph: Graph, gemm: NodeProto): { k: number; n: number; w: Float32Array; b: Float32Array } {
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

import { isGemm, vectorOf, weightsOf } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'

/**
 * Folds scaling and shifting of columns into the product before or after it.
 *
 * `(x·W + b)·s + t = x·(W·diag s) + (b·s + t)`, and `(x·s + t)·W + b = x·(diag s·W) + (t·W + b)`. This
 * removes BatchNorm, which canonical graphs write as a Mul and an Add. In double precision, rounded once.
 *
 * Returns the number of nodes that were folded.
 */
export function foldNormalisation(graph: Graph, left: Left): number {
  let folded = 0
  for (let changed = true; changed; ) {
    changed = false
    for (const node of [...graph.nodes]) {
      if (node.opType !== 'Mul' && node.opType !== 'Add') continue
      if (!backward(graph, node) && !forward(graph, node)) continue
      folded++
      changed = true
    }
    graph.tidy()
  }
  for (const node of graph.nodes)
    if ((node.opType === 'Mul' || node.opType === 'Add') && node.input.some((name) => graph.floats(name) !== undefined))
      left.set(node, 'no product before or after it is connected to it alone')
  return folded
}

/** Into the Gemm before, if nothing else reads that. */
function backward(graph: Graph, node: NodeProto): boolean {
  for (const [x, c] of [node.input, [...node.input].reverse()] as [string, string][]) {
    const gemm = graph.producer(x)
    if (!isGemm(graph, gemm) || !graph.isPrivate(x, node)) continue
    const { k, n, w, b } = weightsOf(graph, gemm)
    const vector = vectorOf(graph, c, n)
    const shape = graph.shapes.get(node.output[0]!)
    if (vector === undefined || shape === undefined) continue
    const scale = node.opType === 'Mul'
    const bias = b.map((value, j) => (scale ? value * vector[j]! : value + vector[j]!))
    const weights = scale
      ? graph.constant(
          `${gemm.input[1]}/scaled`,
          w.map((value, i) => value * vector[i % n]!),
          [k, n],
        )
      : gemm.input[1]!
    const inputs = [gemm.input[0]!, weights, graph.constant(`${c}/bias`, bias, [n])]
    graph.bypass(node, graph.node('Gemm', inputs, { shape }))
    return true
  }
  return false
}

/** Into the Gemms after, if only they read it. */
function forward(graph: Graph, node: NodeProto): boolean {
  const output = node.output[0]!
  const users = graph.users(output)
  if (graph.isOutput(output) || users.length === 0) return false
  if (!users.every((user) => isGemm(graph, user) && user.input[0] === output)) return false
  for (const [x, c] of [node.input, [...node.input].reverse()] as [string, string][]) {
    const width = graph.shapes.get(output)?.dims.at(-1)
    if (width === undefined || graph.shapes.get(x)?.dims.at(-1) !== width || graph.constants.has(x)) continue
    const vector = vectorOf(graph, c, width)
    if (vector === undefined) continue
    for (const gemm of users) {
      const { k, n, w, b } = weightsOf(graph, gemm)
      if (node.opType === 'Mul') {
        const weights = w.map((value, i) => value * vector[Math.floor(i / n)]!)
        gemm.input = [x, graph.constant(`${gemm.input[1]}/scaled`, weights, [k, n]), ...gemm.input.slice(2)]
      } else {
        const bias = b.map((value, j) => {
          let sum = value
          for (let i = 0; i < k; i++) sum += vector[i]! * w[i * n + j]!
          return sum
        })
        gemm.input = [x, gemm.input[1]!, graph.constant(`${gemm.name}/bias`, bias, [n])]
      }
    }
    graph.touch()
    return true
  }
  return false
}

import { intAttribute } from '../ir/attributes.ts'
import { isGemm, weightsOf } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'

/**
 * Two consecutive products → one product, if that takes fewer multiplications.
 *
 * `(x·W₁ + b₁)·W₂ + b₂ = x·(W₁·W₂) + (b₁·W₂ + b₂)`; also if x·W₁ + b₁ is one part of a
 * Concat: so the projection of dense features is folded into the first layer of every expert. In double precision,
 * rounded once.
 *
 * Returns the number of products that were folded.
 */
export function foldLinear(graph: Graph, left: Left): number {
  let folded = 0
  for (let changed = true; changed; ) {
    changed = false
    left.clear()
    for (const node of [...graph.nodes]) {
      if (!isGemm(graph, node) || !fold(graph, node, left)) continue
      folded++
      changed = true
      graph.tidy()
    }
  }
  return folded
}

/** Maximum multiplications of folding in JavaScript: some seconds. */
const mostWork = 4e9

interface Reader {
  /** The tensor that the next products read: `inner`'s output, or a Concat of it. */
  joined: string
  parts: string[]
  gemms: NodeProto[]
}

/** Folds `inner` into the products that read it, if there are any and that saves multiplications. */
function fold(graph: Graph, inner: NodeProto, left: Left): boolean {
  const output = inner.output[0]!
  const readers: Reader[] = []
  let others = graph.isOutput(output)
  for (const user of graph.users(output)) {
    if (isGemm(graph, user) && user.input[0] === output) {
      const known = readers.find(({ joined }) => joined === output)
      if (known) known.gemms.push(user)
      else readers.push({ joined: output, parts: [output], gemms: [user] })
    } else if (isSideBySide(graph, user)) {
      const joined = user.output[0]!
      const gemms = graph.users(joined).filter((gemm) => isGemm(graph, gemm) && gemm.input[0] === joined)
      if (gemms.length < graph.users(joined).length || graph.isOutput(joined)) others = true
      if (gemms.length > 0) readers.push({ joined, parts: [...user.input], gemms })
      else others = true
    } else others = true
  }
  if (readers.length === 0) return false

  const { k, n } = weightsOf(graph, inner)
  const width = readers.reduce(
    (sum, { parts, gemms }) =>
      sum +
      parts.filter((part) => part === output).length * gemms.reduce((w, gemm) => w + productWidth(graph, gemm), 0),
    0,
  )
  // Multiplications per row. The product by W₁ remains if other nodes read it.
  const work = k * n * width
  if (work > mostWork) {
    left.set(inner, `folding takes ${work} multiplications, more than ${mostWork}`)
    return false
  }
  const [apart, folded] = [n * width + (others ? 0 : k * n), k * width]
  if (folded >= apart) {
    left.set(inner, `the folded product would take ${folded} multiplications per row instead of ${apart}`)
    return false
  }
  for (const reader of readers) foldInto(graph, inner, reader)
  return true
}

function foldInto(graph: Graph, inner: NodeProto, { parts, gemms }: Reader): void {
  const output = inner.output[0]!
  const { k, n, w: first, b: bias } = weightsOf(graph, inner)
  const widths = parts.map((part) => graph.shapes.get(part)!.dims[1]!)
  const newParts = parts.map((part) => (part === output ? inner.input[0]! : part))
  const total = parts.reduce((sum, part, i) => sum + (part === output ? k : widths[i]!), 0)
  const batch = graph.shapes.get(output)!.dims[0]!
  const joined =
    newParts.length === 1
      ? newParts[0]!
      : graph.node('Concat', newParts, { attributes: { axis: 1 }, shape: floatShape(batch, total) })
  for (const gemm of gemms) {
    const { n: columns, w: second, b: secondBias } = weightsOf(graph, gemm)
    const weights = new Float32Array(total * columns)
    const sum = Float64Array.from(secondBias)
    let from = 0
    let to = 0
    parts.forEach((part, i) => {
      const rows = second.subarray(from * columns, (from + widths[i]!) * columns)
      if (part === output) {
        weights.set(multiply(first, rows, k, n, columns), to * columns)
        multiply(bias, rows, 1, n, columns).forEach((value, j) => {
          sum[j]! += value
        })
        to += k
      } else {
        weights.set(rows, to * columns)
        to += widths[i]!
      }
      from += widths[i]!
    })
    const name = gemm.input[1]!
    gemm.input = [
      joined,
      graph.constant(`${name}/folded`, weights, [total, columns]),
      graph.constant(`${name}/folded_bias`, Float32Array.from(sum), [columns]),
    ]
  }
  graph.touch()
}

/** [m, k]·[k, n] → [m, n], row-major, in double precision. */
export function multiply(a: Float32Array, b: Float32Array, m: number, k: number, n: number): Float64Array {
  const out = new Float64Array(m * n)
  for (let i = 0; i < m; i++)
    for (let p = 0; p < k; p++) {
      const factor = a[i * k + p]!
      if (factor === 0) continue
      for (let j = 0; j < n; j++) out[i * n + j]! += factor * b[p * n + j]!
    }
  return out
}

/** A Concat of [batch, …] tensors over axis 1. */
export function isSideBySide(graph: Graph, node: NodeProto): boolean {
  return (
    node.opType === 'Concat' &&
    intAttribute(node, 'axis', 0) === 1 &&
    node.input.every((name) => graph.shapes.get(name)?.dims.length === 2)
  )
}

function productWidth(graph: Graph, gemm: NodeProto): number {
  return graph.dimsOf(gemm.input[1]!)![1]!
}

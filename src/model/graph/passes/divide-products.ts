import { equal, product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import { addGemm, isGemm, type Weights, weightsOf } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { isPlainReshape } from '../ir/reshape.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import { combinesSizes, repeated } from './attention-rules.ts'

/** Most tensors that the parts of a concatenation are made of. */
const mostTerms = 64

/**
 * Divides a product that reads values of each item of a list beside values that are repeated for the items:
 *
 * `[k, q, k − q, k · q]·W = k·(W₁ + W₃) + q·(W₂ − W₃) + (k · q)·W₄`, as in DIN's attention unit (Zhou et al., KDD
 * 2018), with any of the four parts, in any order. The term of q is computed once and not for each item; that of k can
 * be computed once for a request, where it depends on the context alone. In double precision, rounded once.
 *
 * Returns the number of products that were divided. A product stays whole where that takes no more multiplications.
 */
export function divideProducts(graph: Graph, left: Left): number {
  let divided = 0
  for (const gemm of graph.nodes.filter((node) => isGemm(graph, node))) {
    const concat = concatenationOf(graph, gemm.input[0]!)
    if (concat === undefined) continue
    const terms = termsOf(graph, gemm, concat)
    if (terms === undefined) left.set(gemm, 'division into the terms of its parts would not save multiplications')
    else {
      divide(graph, gemm, concat, terms)
      divided++
    }
  }
  graph.tidy()
  return divided
}

/** The concatenation [batch, …, k] of parts over the last axis that a product reads, flattened to rows. */
function concatenationOf(graph: Graph, name: string): NodeProto | undefined {
  const reshape = graph.producer(name)
  if (reshape === undefined || !isPlainReshape(graph, reshape)) return undefined
  const concat = graph.producer(reshape.input[0]!)
  const dims = graph.shapes.get(reshape.input[0]!)?.dims
  if (concat?.opType !== 'Concat' || dims === undefined || dims.length < 3 || dims[0] !== -1) return undefined
  if (dims.slice(1).some((side) => side < 1) || graph.shapes.get(name)?.dims.at(-1) !== dims.at(-1)) return undefined
  return intAttribute(concat, 'axis', 0) === dims.length - 1 ? concat : undefined
}

/** A tensor [batch, …, k], and its factor W [k, n] in float64. */
interface Term {
  tensor: string
  k: number
  w: Float64Array
}

/** Tensors of the same size, to be multiplied side by side. */
type Terms = Term[][]

/** The terms that a product is the sum of; undefined where they would take no fewer multiplications. */
function termsOf(graph: Graph, gemm: NodeProto, concat: NodeProto): Terms | undefined {
  const weights = weightsOf(graph, gemm)
  const found = new Map<string, Term>()
  let row = 0
  for (const part of concat.input) {
    const k = graph.shapes.get(part)?.dims.at(-1)
    if (k === undefined || k < 1) return undefined
    addTerms(graph, part, { ...weights, w: weights.w.subarray(row * weights.n, (row + k) * weights.n), k }, 1, found)
    if (found.size > mostTerms) return undefined
    row += k
  }
  const groups = new Map<string, Term[]>()
  for (const term of found.values()) {
    const key = `${placesOf(graph, term.tensor)} ${isMet(graph, term.tensor)}`
    groups.set(key, [...(groups.get(key) ?? []), term])
  }
  const before = placesOf(graph, concat.output[0]!) * weights.k
  const after = [...found.values()].reduce((sum, { tensor, k }) => sum + placesOf(graph, tensor) * k, 0)
  // As many are fewer where the list depends on the context alone, and what met it does not.
  const met = new Set([...groups.values()].map(([term]) => isMet(graph, term!.tensor)))
  return after < before || (after === before && met.size === 2) ? [...groups.values()] : undefined
}

/** Whether a tensor combines a list with what is repeated for its items. */
function isMet(graph: Graph, tensor: string): boolean {
  const node = graph.producer(tensor)
  return node !== undefined && combinesSizes(graph, node)
}

/** Adds a part's terms, `sign` times: sums and differences are taken apart, and repeated values are taken once. */
function addTerms(graph: Graph, part: string, weights: Weights, sign: 1 | -1, found: Map<string, Term>): void {
  const tensor = repeated(graph, part) ?? part
  const node = graph.producer(tensor)
  const { k, n, w } = weights
  const isSum = node?.opType === 'Sub' || node?.opType === 'Add'
  if (isSum && node.input.every((name) => graph.shapes.get(name)?.dims.at(-1) === k && isPerRow(graph, name))) {
    addTerms(graph, node.input[0]!, weights, sign, found)
    addTerms(graph, node.input[1]!, weights, node.opType === 'Add' ? sign : (-sign as 1 | -1), found)
    return
  }
  const term = found.get(tensor) ?? { tensor, k, w: new Float64Array(k * n) }
  found.set(tensor, term)
  for (let i = 0; i < k * n; i++) term.w[i]! += sign * w[i]!
}

/** Whether a tensor is one of [batch, …], as long as the others. */
function isPerRow(graph: Graph, name: string): boolean {
  const dims = graph.shapes.get(name)?.dims
  return dims?.[0] === -1 && dims.length > 2 && dims.every((side, i) => i === 0 || side > 0)
}

/** Vectors of a tensor [batch, …, k] in each row. */
function placesOf(graph: Graph, name: string): number {
  return product(graph.shapes.get(name)!.dims.slice(1, -1))
}

function divide(graph: Graph, gemm: NodeProto, concat: NodeProto, groups: Terms): void {
  const { n, b } = weightsOf(graph, gemm)
  const dims = [...graph.shapes.get(concat.output[0]!)!.dims.slice(0, -1), n]
  // The smallest first: sums grow as late as they can.
  const sorted = [...groups].sort((one, other) => placesOf(graph, one[0]!.tensor) - placesOf(graph, other[0]!.tensor))
  const products = sorted.map((terms, i) => {
    const sides = graph.shapes.get(terms[0]!.tensor)!.dims.slice(0, -1)
    const k = terms.reduce((sum, term) => sum + term.k, 0)
    const x =
      terms.length === 1
        ? terms[0]!.tensor
        : graph.node(
            'Concat',
            terms.map(({ tensor }) => tensor),
            {
              attributes: { axis: sides.length },
              shape: floatShape(...sides, k),
            },
          )
    const w = new Float32Array(k * n)
    let row = 0
    for (const term of terms) {
      w.set(term.w, row * n)
      row += term.k
    }
    const rows = product(sides)
    const flat = graph.node('Reshape', [x, graph.integers([-1, k])], { shape: floatShape(rows, k) })
    const weights = { k, n, w, b: i === 0 ? b : new Float32Array(n) }
    const part = addGemm(graph, flat, `${gemm.input[1]}/divided`, weights, rows)
    return graph.node('Reshape', [part, graph.integers([...sides, n])], { shape: floatShape(...sides, n) })
  })
  const sum = products.reduce((sum, next) => graph.node('Add', [sum, next], { shape: floatShape(...dims) }))
  // If all parts are repeated, so is their product.
  const whole = equal(graph.shapes.get(sum)!.dims, dims)
    ? sum
    : graph.node('Expand', [sum, graph.integers([1, ...dims.slice(1)])], { shape: floatShape(...dims) })
  const flat = graph.shapes.get(gemm.output[0]!)!
  graph.bypass(gemm, graph.node('Reshape', [whole, graph.integers([-1, n])], { shape: flat }))
}

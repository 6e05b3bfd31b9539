import { intAttribute } from '../ir/attributes.ts'
import { addGemm, isGemm, type Weights, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import { featureFinder } from './columns.ts'
import { ownersOf } from './owners.ts'
import { pickRows, sideBySide } from './side-columns.ts'
import type { Sides } from './split-graphs.ts'

/**
 * Multiplications of features above which they are worth a product of their own: it costs a call, where to repeat the
 * context's for rows costs several.
 */
const worthACall = 64

/**
 * Divides products that read features beside what was computed of both sides: `[pooled, features]·W + b = pooled·W₁ +
 * (features·W₂ + b)`. The features' product is then divided by side, as any other. Returns a changed copy, or the graph
 * itself where there is no such product.
 */
export function divideMixed(graph: Graph, sides: Sides): Graph {
  const features = featureFinder(graph)
  const owners = ownersOf(graph, features, sides)
  const isOfOneSide = (name: string) => features(name) !== undefined || owners.get(name)?.size === 1
  const found = graph.nodes.flatMap((gemm) => {
    const concat = isGemm(graph, gemm) ? graph.producer(gemm.input[0]!) : undefined
    if (concat?.opType !== 'Concat' || intAttribute(concat, 'axis', 0) !== 1) return []
    if (graph.shapes.get(concat.output[0]!)?.dims.length !== 2) return []
    const own = concat.input.map(isOfOneSide)
    const width = own.reduce((sum, isOwn, i) => sum + (isOwn ? (widthOf(graph, concat.input[i]!) ?? 0) : 0), 0)
    const pays = width * weightsOf(graph, gemm).n >= worthACall
    const isKnown = concat.input.every((name) => widthOf(graph, name) !== undefined)
    return own.includes(false) && pays && isKnown ? [{ gemm: gemm.output[0]!, own }] : []
  })
  if (found.length === 0) return graph
  const divided = graph.copy()
  const parts = new Map<string, string>()
  for (const { gemm, own } of found) divide(divided, divided.producer(gemm)!, own, parts)
  divided.tidy()
  return divided
}

const widthOf = (graph: Graph, name: string): number | undefined => {
  const width = graph.shapes.get(name)?.dims[1]
  return width !== undefined && width > 0 ? width : undefined
}

/** `own`: which parts of the concatenation are of one side. `parts`: the concatenations of others, by their names. */
function divide(graph: Graph, gemm: NodeProto, own: readonly boolean[], parts: Map<string, string>): void {
  const concat = graph.producer(gemm.input[0]!)!
  const weights = weightsOf(graph, gemm)
  const { n } = weights
  const take = (isOwn: boolean) => {
    const names = concat.input.filter((_, i) => own[i] === isOwn)
    const rows: number[] = []
    let row = 0
    for (const [i, name] of concat.input.entries()) {
      const width = widthOf(graph, name)!
      if (own[i] === isOwn) for (let column = 0; column < width; column++) rows.push(row + column)
      row += width
    }
    const w: Weights = { ...weights, k: rows.length, w: pickRows(weights.w, n, rows) }
    return { x: joined(graph, names, rows.length, parts), w }
  }
  const features = take(true)
  const sum = addGemm(graph, features.x, `${gemm.input[1]}/features`, features.w)
  const mixed = take(false)
  const kernel = graph.constant(`${gemm.input[1]}/mixed`, mixed.w.w, [mixed.w.k, n])
  graph.bypass(gemm, graph.node('Gemm', [mixed.x, kernel, sum], { shape: floatShape(-1, n) }))
}

function joined(graph: Graph, names: readonly string[], width: number, parts: Map<string, string>): string {
  const key = JSON.stringify(names)
  const known = parts.get(key)
  if (known !== undefined) return known
  const whole = sideBySide(graph, names, floatShape(-1, width))
  parts.set(key, whole)
  return whole
}

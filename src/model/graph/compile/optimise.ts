import { product } from '../../../base/arrays.ts'
import { reasonOf } from '../../../base/errors.ts'
import type { PassReport } from '../../contracts/compiled-plan.ts'
import { constantBytes } from '../ir/external-data.ts'
import type { Graph, Left } from '../ir/graph.ts'
import { traceShapes } from '../ir/shapes.ts'
import { canonicalise } from '../passes/canonicalise.ts'
import { divideProducts } from '../passes/divide-products.ts'
import { foldLinear } from '../passes/fold-linear.ts'
import { foldNormalisation } from '../passes/fold-normalisation.ts'
import { mergeChains } from '../passes/merge-chains.ts'
import { mergeSiblings } from '../passes/merge-siblings.ts'
import { mixExperts } from '../passes/mix-experts.ts'
/**
 * Rewrites a graph in place; returns the number of changes. Outputs stay the same except for rounding. `left` receives
 * nodes that the pass considered but left unchanged, with reasons.
 */
export type Pass = (graph: Graph, left: Left) => number

/** In order. Passes rely on the canonical form, which is restored after each. */
export const passes: [name: string, pass: Pass][] = [
  ['canonicalise', canonicalise],
  ['fold normalisation', foldNormalisation],
  ['fold linear', foldLinear],
  ['divide products', divideProducts],
  ['mix experts', mixExperts],
  ['merge siblings', mergeSiblings],
  ['merge chains', mergeChains],
]

/** Receives the graph after each pass; must not change it. */
export type Watch = (report: PassReport, graph: Graph) => Promise<void>

/** Maximum reasons reported per pass; others are counted. */
const mostReasons = 20

/** Maximum nodes of a graph: passes take quadratic time. */
const mostNodes = 2000

/**
 * Optimises a graph in place and reports each pass. Rejects if ONNX Runtime cannot run it, and with a plain Error if it
 * cannot be compiled.
 */
export async function optimise(graph: Graph, watch?: Watch): Promise<PassReport[]> {
  checkBounds(graph)
  await traceShapes(graph)
  const reports = [passReport(graph, 'as saved', 0)]
  await watch?.(reports[0]!, graph)
  for (const [name, pass] of passes) {
    const left: Left = new Map()
    const changes = perform(name, () => pass(graph, left))
    if (changes > 0 && pass !== canonicalise) canonicalise(graph, new Map())
    const report = passReport(graph, name, changes, left)
    reports.push(report)
    await watch?.(report, graph)
  }
  return reports
}

/** Throws a plain Error for a graph that can't be compiled. */
export function checkBounds({ opset, nodes }: Graph): void {
  if (opset < 13) throw new Error(`its operator set is ${opset}: 13 and later are compiled`)
  if (nodes.length > mostNodes) throw new Error(`it has ${nodes.length} nodes, more than ${mostNodes}`)
}

/** Names the pass that throws. */
function perform(name: string, pass: () => number): number {
  try {
    return pass()
  } catch (cause) {
    throw new Error(`the pass ${name} failed: ${reasonOf(cause)}`, { cause })
  }
}

export function passReport(graph: Graph, pass: string, changes: number, left: Left = new Map()): PassReport {
  const places = new Map<string, string[]>()
  for (const [{ opType, name, output }, reason] of left) {
    const key = `${opType} …: ${reason}`
    places.set(key, [...(places.get(key) ?? []), name || output[0]!])
  }
  // Nodes left unchanged for the same reason are reported together.
  const reasons = [...places].map(([key, [first, ...more]]) =>
    key.replace('…', more.length === 0 ? first! : `${first} and ${more.length} more`),
  )
  return {
    pass,
    changes,
    left:
      reasons.length > mostReasons
        ? [...reasons.slice(0, mostReasons), `and ${reasons.length - mostReasons} more`]
        : reasons,
    nodes: graph.nodes.length,
    ...workOf(graph),
    bytes: constantBytes(graph),
  }
}

/** Multiplications per row of products by constant matrices; products of two computed tensors are not counted. */
export function multiplicationsOf(graph: Graph): number {
  return workOf(graph).multiplications
}

function workOf(graph: Graph): Pick<PassReport, 'multiplications' | 'multiplications_once'> {
  let multiplications = 0
  let once = 0
  for (const { opType, input, output } of graph.nodes) {
    if (!['MatMul', 'Gemm', 'QGemm', 'MatMulIntegerToFloat', 'MatMulInteger'].includes(opType)) continue
    const name = opType === 'QGemm' ? input[3] : input[1]
    const dims = graph.dimsOf(name!)
    const shape = graph.shapes.get(output[0]!)?.dims
    if (dims === undefined) continue
    const times = shape === undefined ? 1 : Math.abs(product(shape.slice(0, -1)))
    // Values computed once a request have a fixed shape.
    if (shape?.every((side) => side >= 0)) once += product(dims) * times
    else multiplications += product(dims) * times
  }
  return { multiplications, multiplications_once: once }
}

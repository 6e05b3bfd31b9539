import { isGemm, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import type { CutGraph, FirstLayer } from '../sides/split-graphs.ts'

/**
 * Multiplications per row, or per item of a list, from which int8 saves more than it costs to round what they read.
 * Measured on an AMD EPYC with AVX-512 and VNNI: 10,000 · 16 · 16 take the same, 10,000 · 64 · 16 and 10,000 · 32 · 32
 * a third less, 200 · 32 · 32 a tenth less.
 */
const worthRounding = 1024

/**
 * The products of a whole graph that read values which are no features and depend on no hidden layer, such as those
 * over a list that candidates attend to: [rows · items, k]. They are followed by hidden layers in bytes, or by any
 * other nodes. Products of the context alone are computed once per request, and stay float32.
 *
 * `layers`: the products of features. `hidden`: the outputs of hidden layers, see `equalise`. `joined`: products
 * that stay in float32: one product for all candidates takes less than those of pairs in bytes.
 */
export function mixedProducts(
  { whole, owners }: CutGraph,
  layers: readonly FirstLayer[],
  hidden: ReadonlySet<string>,
  joined: ReadonlySet<string> = new Set(),
): FirstLayer[] {
  const first = new Set([...layers.map(({ gemm }) => gemm.output[0]!), ...joined])
  const behind = new Set<string>()
  const found: FirstLayer[] = []
  // A tidy graph has its nodes in an order of computation.
  for (const node of whole.nodes) {
    const isBehind = node.input.some((name) => behind.has(name))
    for (const name of node.output) if (isBehind || hidden.has(name)) behind.add(name)
    const [output] = node.output as [string]
    if (isBehind || !isGemm(whole, node) || first.has(output)) continue
    const owner = owners.get(output)
    if (owner?.size === 1 && owner.has('context')) continue
    const layer = mixedProduct(whole, node, hidden)
    if (layer !== undefined) found.push(layer)
  }
  return found
}

function mixedProduct(graph: Graph, gemm: NodeProto, hidden: ReadonlySet<string>): FirstLayer | undefined {
  const [input] = gemm.input as [string]
  const [product] = gemm.output as [string]
  const { k, n } = weightsOf(graph, gemm)
  const dims = graph.shapes.get(input)?.dims
  if (dims?.length !== 2 || dims[0]! > -1 || dims[1] !== k) return undefined
  const [user] = graph.users(product)
  const relu = user?.opType === 'Relu' && hidden.has(user.output[0]!) ? user : undefined
  const next = relu ? graph.users(relu.output[0]!).filter((user) => isGemm(graph, user)) : []
  const following = next.reduce((sum, user) => sum + n * weightsOf(graph, user).n, 0)
  if (k * n + following < worthRounding) return undefined
  const columns = Array.from({ length: k }, (_, i) => i)
  const segment = { input, columns, added: undefined, isInput: true, table: undefined, dim: 1, build }
  return { gemm, segments: [segment], output: relu?.output[0] ?? product }
}

const build = (_: Graph, packed: string) => packed

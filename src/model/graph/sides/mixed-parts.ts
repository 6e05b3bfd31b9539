import { intAttribute } from '../ir/attributes.ts'
import { isGemm, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'

/**
 * Multiplications of features above which they are worth a product of their own: it costs a call, where to repeat the
 * context's for rows costs several.
 */
const worthACall = 64

/**
 * The parts of concatenations that products read beside what is of one side, and that were computed of both, such as a
 * pooled history beside features: by node, their names. `isOfOneSide`: whether a tensor has columns of known sides.
 */
export function mixedParts(graph: Graph, isOfOneSide: (name: string) => boolean): Map<NodeProto, string[]> {
  const found = new Map<NodeProto, string[]>()
  for (const concat of graph.nodes) {
    if (concat.opType !== 'Concat' || intAttribute(concat, 'axis', 0) !== 1) continue
    const [output] = concat.output as [string]
    const dims = graph.shapes.get(output)?.dims
    if (dims?.length !== 2 || dims[0] !== -1) continue
    const widths = concat.input.map((name) => graph.shapes.get(name)?.dims[1] ?? 0)
    const mixed = concat.input.filter((name) => !isOfOneSide(name))
    if (mixed.length === 0 || widths.some((width) => width < 1)) continue
    const products = graph.users(output).filter((user) => isGemm(graph, user) && user.input[0] === output)
    const columns = products.reduce((sum, gemm) => sum + weightsOf(graph, gemm).n, 0)
    const width = widths.reduce((sum, width, i) => (mixed.includes(concat.input[i]!) ? sum : sum + width), 0)
    if (width * columns >= worthACall) found.set(concat, mixed)
  }
  return found
}

import { addGemm, isGemm, sideBySide, takeApart, weightsOf } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'

/**
 * Maximum columns of a merged product. Measured: one wide product and the copies that split it again are slower than
 * one product per expert if these are wide (such as 2 × 256 columns), since a layer's activations then exceed the
 * nearest cache; narrow products cost more to call than to compute.
 */
const widest = 512
/** A product of more columns gains nothing from merging. */
const narrow = 128

/**
 * Products that read the same tensor → one product and a Split: experts' first layers, gates.
 *
 * If each is followed by a ReLU, that is merged too. Returns the number of products that were merged.
 */
export function mergeSiblings(graph: Graph, left: Left): number {
  let merged = 0
  for (let again = true; again; ) {
    again = false
    const families = new Map<string, NodeProto[]>()
    for (const node of graph.nodes) {
      if (!isGemm(graph, node) || weightsOf(graph, node).n > narrow || graph.isOutput(node.output[0]!)) continue
      const relu = onlyRelu(graph, node)
      const key = `${relu ? 'relu' : 'linear'} ${node.input[0]}`
      const family = families.get(key)
      if (family) family.push(node)
      else families.set(key, [node])
    }
    for (const family of families.values()) {
      const group: NodeProto[] = []
      let width = 0
      for (const gemm of family) {
        const { n } = weightsOf(graph, gemm)
        if (width + n > widest) continue
        group.push(gemm)
        width += n
      }
      if (group.length < 2) continue
      merge(graph, group)
      merged += group.length
      again = true
      break
    }
    graph.tidy()
  }
  const products = graph.nodes.filter((node) => isGemm(graph, node))
  for (const node of products) {
    const { n } = weightsOf(graph, node)
    const siblings = products.filter((other) => other.input[0] === node.input[0])
    if (n > narrow && siblings.length > 1) left.set(node, `with ${n} columns merging makes it no faster`)
  }
  return merged
}

function merge(graph: Graph, group: NodeProto[]): void {
  const members = group.map((gemm) => weightsOf(graph, gemm))
  const [x] = group[0]!.input
  const batch = graph.shapes.get(group[0]!.output[0]!)!.dims[0]!
  const all = sideBySide(members)
  const gemm = addGemm(graph, x!, 'siblings', all, batch)
  const relus = group.map((member) => onlyRelu(graph, member))
  const source = relus[0] === undefined ? gemm : graph.node('Relu', [gemm], { shape: floatShape(batch, all.n) })
  const sizes = members.map(({ n }) => n)
  const outputs = takeApart(graph, source, sizes, batch)
  group.forEach((member, i) => {
    graph.bypass(relus[i] ?? member, outputs[i]!)
  })
}

/** The ReLU after a product, if nothing else reads it. */
export function onlyRelu(graph: Graph, gemm: NodeProto): NodeProto | undefined {
  const [user, ...more] = graph.users(gemm.output[0]!)
  return user?.opType === 'Relu' && more.length === 0 && !graph.isOutput(gemm.output[0]!) ? user : undefined
}

import { intAttribute } from '../ir/attributes.ts'
import { addGemm, isGemm, takeApart, weightsOf } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import { onlyRelu } from './merge-siblings.ts'

/** Overhead of a call in multiplications, which a block-diagonal matrix may waste per product. */
const wasteOfCall = 2500

/**
 * Small products of equal size, each of separate columns of one tensor → one product by a block-diagonal matrix.
 *
 * Most of that matrix is zero, which pays only if the overhead of calls dominates. Larger products are kept: batched
 * matrix products, [E, batch, k]·[E, k, n], were slower than E products from 4 rows on, since ONNX Runtime packs the
 * weights of a plain product once and those of a batched product at every call.
 *
 * Returns the number of products that were merged.
 */
export function mergeChains(graph: Graph, left: Left): number {
  let merged = 0
  for (let again = true; again; ) {
    again = false
    left.clear()
    for (const split of [...graph.nodes]) {
      if (split.opType !== 'Split' || intAttribute(split, 'axis', 0) !== 1) continue
      activateFirst(graph, split)
      const count = mergeAfter(graph, split, left)
      merged += count
      again ||= count > 0
    }
    graph.tidy()
  }
  return merged
}

/** Split, then ReLU of every part → ReLU, then Split. */
function activateFirst(graph: Graph, split: NodeProto): void {
  const used = split.output.filter((name) => graph.users(name).length > 0 || graph.isOutput(name))
  const relus = used.map((name) => {
    const [user, ...more] = graph.users(name)
    return user?.opType === 'Relu' && more.length === 0 && !graph.isOutput(name) && !graph.isOutput(user.output[0]!)
      ? user
      : undefined
  })
  const whole = relus.filter((relu) => relu !== undefined)
  if (whole.length < 2 || whole.length < used.length) return
  const x = split.input[0]!
  const shape = graph.shapes.get(x)
  split.input = [graph.node('Relu', [x], shape ? { shape } : {}), ...split.input.slice(1)]
  graph.touch()
  whole.forEach((relu, i) => {
    graph.bypass(relu, used[i]!)
  })
}

interface ChainLink {
  gemm: NodeProto | undefined
  k: number
  n: number
}

function mergeAfter(graph: Graph, split: NodeProto, left: Left): number {
  const members: ChainLink[] = []
  for (const name of split.output) {
    const k = graph.shapes.get(name)?.dims[1]
    const [user, ...more] = graph.users(name)
    if (k === undefined || more.length > 0 || graph.isOutput(name)) return 0
    if (user === undefined) members.push({ gemm: undefined, k, n: 0 })
    else if (isGemm(graph, user) && user.input[0] === name && !graph.isOutput(user.output[0]!))
      members.push({ gemm: user, k, n: weightsOf(graph, user).n })
    else return 0
  }
  const gemms = members.flatMap(({ gemm }) => (gemm === undefined ? [] : [gemm]))
  const relus = gemms.filter((gemm) => onlyRelu(graph, gemm) !== undefined).length
  if (gemms.length < 2 || (relus !== 0 && relus !== gemms.length)) return 0
  const k = members.reduce((sum, member) => sum + member.k, 0)
  const n = members.reduce((sum, member) => sum + member.n, 0)
  const useful = members.reduce((sum, member) => sum + member.k * member.n, 0)
  if (k * n - useful > wasteOfCall * gemms.length) {
    left.set(split, `one product of its parts would be ${k}×${n}, with only ${useful} useful multiplications`)
    return 0
  }

  const weights = new Float32Array(k * n)
  const bias = new Float32Array(n)
  let row = 0
  let column = 0
  for (const member of members) {
    if (member.gemm !== undefined) {
      const { w, b } = weightsOf(graph, member.gemm)
      for (let i = 0; i < member.k; i++)
        weights.set(w.subarray(i * member.n, (i + 1) * member.n), (row + i) * n + column)
      bias.set(b, column)
    }
    row += member.k
    column += member.n
  }
  const batch = graph.shapes.get(split.input[0]!)!.dims[0]!
  const gemm = addGemm(graph, split.input[0]!, 'chains', { k, n, w: weights, b: bias }, batch)
  const activated = relus > 0 ? graph.node('Relu', [gemm], { shape: floatShape(batch, n) }) : gemm
  const sizes = members.filter((member) => member.n > 0).map((member) => member.n)
  const outputs = takeApart(graph, activated, sizes, batch)
  gemms.forEach((member, i) => {
    graph.bypass(onlyRelu(graph, member) ?? member, outputs[i]!)
  })
  return gemms.length
}

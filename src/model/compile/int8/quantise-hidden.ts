import { weightsOf } from '../../graph/gemm.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../graph/onnx_pb.ts'
import type { VariantGraph } from '../sides/contract.ts'
import { nameInWhole } from '../sides/tensor-names.ts'
import { sideBySideCopies, toBytes, toFloats, toInt8 } from './int8-matrix.ts'
import type { QuantisedLayers, QuantiseOptions } from './quantise-layers.ts'

/** Replaces the products after the first layers, as far as they read bytes now. */
export function quantiseHiddenLayers(
  { graph: target, replaced }: VariantGraph,
  layers: QuantisedLayers['layers'],
  options: Pick<QuantiseOptions, 'hidden' | 'effort'>,
): void {
  const open = [...replaced].flatMap(([layer, name]) => (layers.get(layer)!.hidden ? [name] : []))
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    for (const user of [...target.users(name)]) {
      if (user.opType === 'Split') {
        for (const part of user.output) {
          const { dims } = target.shapes.get(part)!
          target.shapes.set(part, { dtype: DataType.UINT8, dims })
          open.push(part)
        }
        continue
      }
      const bytes = quantiseProduct(target, user, name, options)
      if (bytes !== undefined) open.push(bytes)
    }
  }
  target.tidy()
}

/** Replaces a product of bytes; returns the byte tensor that replaces its ReLU, if it has one. */
function quantiseProduct(
  target: Graph,
  gemm: NodeProto,
  x: string,
  { hidden: hiddenOutputs, effort }: Pick<QuantiseOptions, 'hidden' | 'effort'>,
): string | undefined {
  const { k, n, w, b } = weightsOf(target, gemm)
  const [relu] = target.users(gemm.output[0]!)
  const hidden = relu?.opType === 'Relu' && hiddenOutputs.has(nameInWhole(relu.output[0]!))
  const batch = target.shapes.get(gemm.output[0]!)?.dims[0] ?? -1
  const copies = hidden ? effort.copies : 1
  const matrix = toInt8(w, n, new Array<number>(k).fill(copies), !hidden && effort.refine === 'all')
  // Copies are concatenated: row i of the first, of the second, …
  const rows = Array.from({ length: k * copies }, (_, i) => (i % k) * copies + Math.floor(i / k))
  if (!hidden) {
    const product = toFloats(target, x, matrix, rows, b, batch)
    drop(target, gemm, gemm.output[0]!, product)
    return undefined
  }
  const sums = Int32Array.from(b, (value, j) => Math.round(value / matrix.scale[j]!))
  const all = copies === 1 ? x : sideBySideCopies(target, x, copies, k, batch)
  const bytes = toBytes(target, all, matrix, rows, target.constant('sums', sums, [n]), batch)
  const name = relu.output[0]!
  target.nodes.splice(target.nodes.indexOf(gemm), 1)
  drop(target, relu, name, bytes)
  return bytes
}

function drop(graph: Graph, node: NodeProto, output: string, replacement: string): void {
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  graph.replace(output, replacement)
}

import { create } from '@bufbuild/protobuf'
import type ort from 'onnxruntime-node'
import { product } from '../../../../base/arrays.ts'
import { onnxruntime } from '../../../../base/onnxruntime.ts'
import { isExternal } from '../../ir/constants.ts'
import { Graph } from '../../ir/graph.ts'
import { type NodeProto, TensorProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from '../../ir/onnx_pb.ts'

/** Maximum elements of a folded result, unless a constant that it is computed from has more. */
const mostElements = 1 << 20
/** Maximum elements of all results. */
const mostInAll = 1 << 25

/**
 * Computes what constants alone make, by ONNX Runtime, and puts the results in its place: Keras writes a normalisation
 * as the arithmetic of its weights. Outputs of the graph remain nodes, and so do nodes that ONNX Runtime cannot
 * compute.
 */
export async function foldConstants(graph: Graph): Promise<void> {
  const folded = foldable(graph)
  const results = resultsOf(graph, folded)
  if (results.length === 0) return
  const names = new Set([...folded].flatMap(({ input }) => input))
  const part = new Graph({
    inputs: [],
    outputs: results.map((name): ValueInfoProto => create(ValueInfoProtoSchema, { name })),
    nodes: [...folded],
    constants: [...graph.constants.values()].filter(({ name }) => names.has(name)),
    folder: graph.folder,
    opsets: new Map([['', BigInt(graph.opset)]]),
  })
  const computed = await run(part)
  if (computed === undefined) return
  for (const name of results) {
    const { data, dims } = computed[name] as ort.Tensor
    const { buffer, byteOffset, byteLength } = data as Float32Array<ArrayBuffer>
    const rawData = new Uint8Array(buffer, byteOffset, byteLength)
    const { dtype } = graph.shapes.get(name)!
    graph.constants.set(name, create(TensorProtoSchema, { name, dataType: dtype, dims: dims.map(BigInt), rawData }))
  }
  graph.nodes = graph.nodes.filter((node) => !folded.has(node))
  graph.touch()
}

async function run(part: Graph): Promise<ort.InferenceSession.OnnxValueMapType | undefined> {
  try {
    const session = await onnxruntime.InferenceSession.create(part.toBytes(), {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    })
    try {
      return await session.run({}, { logSeverityLevel: 4 })
    } finally {
      await session.release()
    }
  } catch {
    return undefined
  }
}

/** Nodes that read only constants and each other. The graph's nodes are in order. */
function foldable(graph: Graph): Set<NodeProto> {
  const folded = new Set<NodeProto>()
  const sizes = new Map<string, number>()
  for (const [name, tensor] of graph.constants)
    if (!isExternal(tensor)) sizes.set(name, product(tensor.dims.map(Number)))
  let all = 0
  for (const node of graph.nodes) {
    if (node.output.some((name) => graph.isOutput(name)) || !node.input.every((name) => sizes.has(name))) continue
    const most = Math.max(mostElements, ...node.input.map((name) => sizes.get(name)!))
    const results = node.output.map((name) => {
      const shape = graph.shapes.get(name)
      return shape && product(shape.dims)
    })
    if (!results.every((size) => size !== undefined && size >= 0 && size <= most)) continue
    all += results.reduce<number>((sum, size) => sum + size!, 0)
    if (all > mostInAll) break
    folded.add(node)
    node.output.forEach((name, i) => {
      sizes.set(name, results[i]!)
    })
  }
  return folded
}

/** Outputs of these nodes that other nodes read. */
function resultsOf(graph: Graph, folded: Set<NodeProto>): string[] {
  return [...folded]
    .flatMap(({ output }) => output)
    .filter((name) => graph.users(name).some((user) => !folded.has(user)))
}

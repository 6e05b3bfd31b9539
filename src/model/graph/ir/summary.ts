import { product } from '../../../base/arrays.ts'
import { intAttribute } from './attributes.ts'
import type { Graph } from './graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from './onnx_pb.ts'
import { traceShapes } from './shapes.ts'
import { elementSize } from './tensor-shape.ts'

/** One operation of a graph. */
export interface NodeSummary {
  name: string
  operator: string
  /** Dimensions after the batch; undefined if unknown. */
  shape: number[] | undefined
  /** Weights that no earlier node reads. */
  parameters: number
  /** Floating-point operations per row; a multiply-add is two. */
  flops: number
}

export interface GraphSummary {
  opset: number
  nodes: NodeSummary[]
  parameters: number
  /** Size of the stored parameters. */
  parameterBytes: number
  /** Per row. */
  flops: number
}

/** The nodes of a graph in order of computation. Determines shapes by running the graph on zeros, if possible. */
export async function summarise(graph: Graph): Promise<GraphSummary> {
  graph.tidy()
  await traceShapes(graph).catch(() => undefined)
  const seen = new Set<string>()
  let parameterBytes = 0
  const nodes = graph.nodes.map((node): NodeSummary => {
    let parameters = 0
    for (const name of node.input) {
      const tensor = graph.constants.get(name)
      if (tensor === undefined || seen.has(name) || !weights.has(tensor.dataType)) continue
      seen.add(name)
      const count = product(tensor.dims.map(Number))
      parameters += count
      parameterBytes += count * (elementSize(tensor.dataType) ?? 0)
    }
    const dims = graph.shapes.get(node.output[0]!)?.dims
    return {
      name: node.name || node.output[0]!,
      operator: node.opType,
      shape: dims?.slice(1),
      parameters,
      flops: flopsOf(graph, node, dims),
    }
  })
  const total = (of: 'parameters' | 'flops') => nodes.reduce((sum, node) => sum + node[of], 0)
  return { opset: graph.opset, nodes, parameters: total('parameters'), parameterBytes, flops: total('flops') }
}

/** Constants of other types are shapes, axes and the like. */
const weights = new Set<number>([
  DataType.FLOAT,
  DataType.DOUBLE,
  DataType.FLOAT16,
  DataType.BFLOAT16,
  DataType.INT8,
  DataType.UINT8,
])

/** Operators that move values without computing any. */
const moving = new Set([
  'Gather',
  'Concat',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Split',
  'Slice',
  'Identity',
  'Cast',
  'Shape',
  'Constant',
  'ConstantOfShape',
  'Expand',
  'Tile',
  'Dropout',
  'Range',
  'GatherND',
  'Size',
])

function flopsOf(graph: Graph, node: NodeProto, dims: number[] | undefined): number {
  const { opType, input } = node
  if (dims === undefined || moving.has(opType)) return 0
  // A dimension −k is k per row; a tensor without a batch is computed once, not per row.
  const perRow = product(dims.map(Math.abs))
  if (!dims.some((side) => side < 0)) return 0
  if (opType === 'MatMul' || opType === 'Gemm') {
    const left = graph.shapes.get(input[0]!)?.dims ?? graph.dimsOf(input[0]!)
    const transposed = opType === 'Gemm' && intAttribute(node, 'transA', 0) === 1
    const inner = transposed ? left?.at(-2) : left?.at(-1)
    const bias = opType === 'Gemm' && input[2] ? 1 : 0
    return inner === undefined ? 0 : perRow * (2 * Math.abs(inner) + bias)
  }
  // A sum reads more than it writes.
  return Math.max(...input.map((name) => elements(graph, name)), perRow)
}

function elements(graph: Graph, name: string): number {
  const dims = graph.shapes.get(name)?.dims
  return dims?.some((side) => side < 0) ? product(dims.map(Math.abs)) : 0
}

import type { Tensor } from 'onnxruntime-node'
import { onnxruntime as ort } from '../../../src/base/onnxruntime.ts'
import type { InputRows } from '../../../src/model/graph/int8/observe-ranges.ts'
import { Graph } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { declare, type TensorShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import type { Dice } from './dice.ts'

/** Ids that test graphs take lie from 0 to this, exclusively. */
export const vocabulary = 7

export type Feeds = Record<string, Tensor>
export type Answers = Record<string, { dims: readonly number[]; values: Float32Array }>

/** An empty graph with these inputs. */
export function emptyGraph(inputs: Record<string, TensorShape>, opset = 17): Graph {
  const graph = new Graph({
    inputs: Object.entries(inputs).map(([name, shape]) => declare(name, shape)),
    outputs: [],
    nodes: [],
    constants: [],
    folder: '.',
    opsets: new Map([['', BigInt(opset)]]),
  })
  return graph
}

/** Makes float tensors outputs of a graph; their shapes are left open. */
export function answerWith(graph: Graph, ...names: string[]): void {
  for (const name of names) {
    const output = declare(name, { dtype: DataType.FLOAT, dims: [] })
    if (output.type?.value.case === 'tensorType') delete output.type.value.value.shape
    graph.outputs.push(output)
  }
}

/** The graph as it would be read from a file: what passes get. */
export function reread(graph: Graph): Graph {
  return Graph.parse(graph.toBytes(), graph.folder)
}

/** Rows of random ids and values for every input. */
export function feedsOf(graph: Graph, rows: number, dice: Dice): Feeds {
  const feeds: Feeds = {}
  for (const { name, type } of graph.inputs) {
    if (type?.value.case !== 'tensorType') throw new Error(`the input ${name} is no tensor`)
    const dims = type.value.value.shape!.dim.map(({ value }) =>
      value.case === 'dimValue' ? Number(value.value) : rows,
    )
    const size = dims.reduce((product, side) => product * side, 1)
    const ids = Array.from({ length: size }, () => dice.below(vocabulary))
    const { elemType } = type.value.value
    if (elemType === DataType.FLOAT) feeds[name] = new ort.Tensor('float32', dice.floats(size), dims)
    else if (elemType === DataType.INT64) feeds[name] = new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), dims)
    else feeds[name] = new ort.Tensor('int32', Int32Array.from(ids), dims)
  }
  return feeds
}

/** Such rows as int8 sets its scales by. */
export function inputRowsOf(graph: Graph, rows: number, dice: Dice): InputRows {
  const inputs = Object.entries(feedsOf(graph, rows, dice)).map(([name, { data }]) => [
    name,
    data instanceof Float32Array ? data : Int32Array.from(data as BigInt64Array, Number),
  ])
  return { rows, inputs: Object.fromEntries(inputs) }
}

/** The answers of ONNX Runtime for each of several batches; it rewrites nothing itself unless `optimised`. */
export async function answersOf(graph: Graph, batches: Feeds[], optimised = false): Promise<Answers[]> {
  const session = await ort.InferenceSession.create(graph.copy().toBytes(), {
    graphOptimizationLevel: optimised ? 'all' : 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  })
  try {
    const all: Answers[] = []
    for (const feeds of batches) {
      const known = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!]))
      const answers: Answers = {}
      for (const [name, { dims, data }] of Object.entries(await session.run(known)))
        answers[name] = { dims, values: data as Float32Array }
      all.push(answers)
    }
    return all
  } finally {
    await session.release()
  }
}

/**
 * Where two lists of answers differ; undefined where they don't. `tolerance`: the largest difference allowed, as a part
 * of a tensor's largest value, or of 1.
 */
export function differenceOf(expected: Answers[], actual: Answers[], tolerance = 1e-5): string | undefined {
  for (const [batch, answers] of expected.entries())
    for (const [name, { dims, values }] of Object.entries(answers)) {
      const other = actual[batch]?.[name]
      if (other === undefined) return `${name} is missing`
      if (dims.join() !== other.dims.join()) return `${name} is [${other.dims}], not [${dims}]`
      const magnitude = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
      for (const [i, value] of values.entries())
        if (!(Math.abs(value - other.values[i]!) <= tolerance * magnitude))
          return `${name}[${i}] of batch ${batch} is ${other.values[i]}, not ${value}`
    }
  return undefined
}

/** The operators of a graph, for reading: `Gather Reshape Concat Gemm …`. */
export function operatorsOf(graph: Graph): string {
  return graph.nodes.map(({ opType }) => opType).join(' ')
}

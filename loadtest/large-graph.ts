import { external } from '../src/model/graph/ir/external-data.ts'
import { Graph } from '../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../src/model/graph/ir/tensor-shape.ts'
import { writePieces } from './write-pieces.ts'

/** A graph with one large table in `table.bin`, for all of its sparse fields. */
export interface LargeShape {
  /** Rows of the table, and its columns. */
  ids: number
  dim: number
  /** Sparse and numeric fields. */
  fields: number
  dense: number
  /** Width of both layers. */
  hidden: number
  tasks: number
}

/** Writes pseudorandom float32 values, [ids, dim]. */
export const writeTable = (path: string, { ids, dim }: LargeShape) => writePieces(path, valuesOf(ids * dim))

function* valuesOf(count: number): Generator<Buffer> {
  let state = 1
  for (let left = count; left > 0; left -= 2 ** 18) {
    const values = new Float32Array(Math.min(left, 2 ** 18))
    for (let i = 0; i < values.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0
      values[i] = state / 2 ** 34
    }
    yield Buffer.from(values.buffer)
  }
}

/** Two layers with random weights over the looked-up rows and the numeric fields, in the version's folder. */
export function largeGraph(version: string, { ids, dim, fields, dense, hidden, tasks }: LargeShape): Graph {
  const graph = new Graph({
    inputs: [declare('sparse', { dtype: DataType.INT32, dims: [-1, fields] }), declare('dense', floatShape(-1, dense))],
    outputs: [declare('probabilities', floatShape(-1, tasks))],
    nodes: [],
    constants: [
      external(
        { name: 'table', dataType: DataType.FLOAT, dims: [BigInt(ids), BigInt(dim)] },
        'table.bin',
        0,
        ids * dim * 4,
      ),
    ],
    folder: version,
    opsets: new Map([['', 17n]]),
  })
  const weights = (name: string, k: number, n: number) => {
    const scale = 2 / Math.sqrt(k)
    return graph.constant(
      name,
      Float32Array.from({ length: k * n }, () => (Math.random() - 0.5) * scale),
      [k, n],
    )
  }
  const flat = graph.node('Reshape', [graph.node('Gather', ['table', 'sparse']), graph.integers([-1, fields * dim])])
  const x = graph.node('Concat', [flat, 'dense'], { attributes: { axis: 1 } })
  const first = graph.node('Relu', [graph.node('Gemm', [x, weights('first', fields * dim + dense, hidden)])])
  const second = graph.node('Relu', [graph.node('Gemm', [first, weights('second', hidden, hidden)])])
  const logits = graph.node('Gemm', [second, weights('towers', hidden, tasks)])
  graph.node('Sigmoid', [logits], { outputs: ['probabilities'] })
  return graph
}

import { type Graph, microsoft } from '../ir/graph.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { floatShape, type TensorShape } from '../ir/tensor-shape.ts'
import { pickRows } from '../sides/side-columns.ts'
import { largestWeight } from './largest-weight.ts'

/*
 * int8 matrices, and the nodes that multiply bytes by them.
 */

/** A matrix [k, n] as int8 with a scale per column: w ≈ scale[j]·q (+ fine scale[j]·fine q). */
export interface Int8Matrix {
  k: number
  n: number
  q: Int8Array
  scale: Float32Array
  fine: { q: Int8Array; scale: Float32Array } | undefined
}

export function sideBySideCopies(graph: Graph, x: string, copies: number, k: number, batch: number): string {
  const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, k * copies] }
  return graph.node('Concat', new Array<string>(copies).fill(x), { attributes: { axis: 1 }, shape })
}

/** bytes(x·Q·scale), negative ones 0: [batch, k] → [batch, n]. `sums` int32 is added before scaling. */
export function toBytes(graph: Graph, x: string, matrix: Int8Matrix, rows: number[], sums: string, batch = -1): string {
  const { n, q, scale } = matrix
  const [one, zero] = [scalar(graph, 'one'), scalar(graph, 'zero')]
  const weights = graph.constant('int8', pickRows(q, n, rows), [rows.length, n])
  const inputs = [x, one, zero, weights, graph.constant('scale', scale, [n]), zeros(graph, n), sums, one, zero]
  return graph.node('QGemm', inputs, { domain: microsoft, shape: { dtype: DataType.UINT8, dims: [batch, n] } })
}

/** x·Q·scale + bias: [batch, k] → float32 [batch, n]. */
export function toFloats(
  graph: Graph,
  x: string,
  { n, q, scale, fine }: Int8Matrix,
  rows: number[],
  bias: Float32Array | undefined,
  batch = -1,
): string {
  const term = (q: Int8Array, scale: Float32Array, bias: Float32Array | undefined) => {
    const inputs = [
      x,
      graph.constant('int8', pickRows(q, n, rows), [rows.length, n]),
      scalar(graph, 'one'),
      graph.constant('scale', scale, [n]),
      scalar(graph, 'zero'),
      zeros(graph, n),
    ]
    if (bias !== undefined) inputs.push(graph.constant('bias', bias, [n]))
    return graph.node('MatMulIntegerToFloat', inputs, { domain: microsoft, shape: floatShape(batch, n) })
  }
  const coarse = term(q, scale, bias)
  if (fine === undefined) return coarse
  return graph.node('Add', [coarse, term(fine.q, fine.scale, undefined)], { shape: floatShape(batch, n) })
}

/** The matrix without its scale: products with it are integers. */
export function sumsOf({ k, n, q }: Int8Matrix): Int8Matrix {
  return { k, n, q, scale: new Float32Array(n).fill(1), fine: undefined }
}

export function roundToBytes(graph: Graph, x: string, n: number): string {
  const shape: TensorShape = { dtype: DataType.UINT8, dims: [-1, n] }
  return graph.node('QuantizeLinear', [x, scalar(graph, 'one'), scalar(graph, 'zero')], { shape })
}

/** 1 as float32, 0 as a byte: one constant per graph. */
function scalar(graph: Graph, which: 'one' | 'zero'): string {
  const name = `int8/${which}`
  if (graph.constants.has(name)) return name
  return graph.constant(name, which === 'one' ? Float32Array.of(1) : Uint8Array.of(0), [])
}

function zeros(graph: Graph, n: number): string {
  const name = `int8/zeros:${n}`
  return graph.constants.has(name) ? name : graph.constant(name, new Int8Array(n), [n])
}

/**
 * Weights with a symmetric scale per column. Each copy of a repeated row has a share of its weight, and the
 * shares add up to the rounded weight. `fine` adds the rounding errors as a second term.
 */
export function toInt8(w: ArrayLike<number>, n: number, repeats: readonly number[], fine: boolean): Int8Matrix {
  const k = repeats.reduce((sum, count) => sum + count, 0)
  const coarse = roundColumns(w, n, repeats)
  if (!fine) return { k, n, ...coarse, fine: undefined }
  const rest = Float64Array.from(w)
  let row = 0
  repeats.forEach((count, from) => {
    for (let i = 0; i < count; i++, row++)
      for (let j = 0; j < n; j++) rest[from * n + j]! -= coarse.q[row * n + j]! * coarse.scale[j]!
  })
  return { k, n, ...coarse, fine: roundColumns(rest, n, repeats) }
}

function roundColumns(
  w: ArrayLike<number>,
  n: number,
  repeats: readonly number[],
): { q: Int8Array; scale: Float32Array } {
  const scale = new Float32Array(n)
  repeats.forEach((count, from) => {
    for (let j = 0; j < n; j++) scale[j] = Math.max(scale[j]!, Math.abs(w[from * n + j]!) / count)
  })
  for (let j = 0; j < n; j++) scale[j] = scale[j]! > 0 ? scale[j]! / largestWeight : 1
  const q = new Int8Array(repeats.reduce((sum, count) => sum + count, 0) * n)
  let row = 0
  repeats.forEach((count, from) => {
    for (let j = 0; j < n; j++) {
      let left = Math.round(w[from * n + j]! / scale[j]!)
      for (let i = 0; i < count; i++) {
        const share = Math.round(left / (count - i))
        q[(row + i) * n + j] = Math.max(-largestWeight, Math.min(largestWeight, share))
        left -= share
      }
    }
    row += count
  })
  return { q, scale }
}

export function sideBySide(parts: { n: number; data: Int8Array }[], k: number): Int8Array {
  const width = parts.reduce((sum, { n }) => sum + n, 0)
  const joined = new Int8Array(k * width)
  let column = 0
  for (const { n, data } of parts) {
    for (let row = 0; row < k; row++) joined.set(data.subarray(row * n, (row + 1) * n), row * width + column)
    column += n
  }
  return joined
}

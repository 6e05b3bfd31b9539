import { equal, product } from '../../../base/arrays.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from '../rows/errors.ts'
import type { Part, Tensor } from '../rows/tensor.ts'
import { filled } from './operand.ts'
import { pushAlike, pushByRequest, runProduct } from './products.ts'
import type { OnednnTranslation } from './translation.ts'

/*
 * Products of bytes by int8 matrices, as the compiler quantises them: zero points are 0, and scales are those of the
 * columns. They compute what ONNX Runtime computes, so that a graph in either engine has the same bytes.
 */

/** bytes((x·w + sums)·scale). */
export function qGemm(t: OnednnTranslation, node: NodeProto): void {
  const [x, xScale, xZero, weights, scale, zeros, sums, outScale, outZero] = node.input as string[]
  expectOnes(t, xScale!, outScale!)
  expectZeros(t, xZero!, zeros!, outZero!)
  const matrix = matrixOf(t, weights!, scale!)
  const from = operandOf(t, x!, matrix.k)
  const { n } = matrix
  const own = t.isConstant(sums!) ? undefined : sumsOfRequest(t, sums!, from, n)
  // Behind the sums of a request, memory belongs to other columns.
  const width = t.tiling.padded(n)
  const columns = own === undefined || n === width ? width : n
  const to = t.result(from.each, [n], 'uint8', columns)
  t.set(node.output[0]!, to)
  const run = runProduct(t, matrix, t.byteOperand(from), to, false)
  if (own) pushByRequest(t, run, own)
  else pushAlike(t, run, from.each, filled(Int32Array.from(t.integers(sums!)), n, columns))
}

/** x·w·scale + bias. */
export function matMulIntegerToFloat(t: OnednnTranslation, node: NodeProto): void {
  const [x, weights, xScale, scale, xZero, zeros, bias] = node.input as string[]
  const [name] = node.output as [string]
  expectOnes(t, xScale!)
  expectZeros(t, xZero!, zeros!)
  const matrix = matrixOf(t, weights!, scale!)
  const from = operandOf(t, x!, matrix.k)
  const to = t.result(from.each, [matrix.n], 'float32')
  t.set(name, to)
  const run = runProduct(t, matrix, t.byteOperand(from), to, t.relus.take(name))
  pushAlike(t, run, from.each, filled(bias ? t.constant(bias).values : new Float32Array(0), matrix.n))
}

/** x·w, with the constant that alone is added to it. */
export function matMulInteger(t: OnednnTranslation, node: NodeProto): void {
  const [x, weights] = node.input as [string, string]
  const [name] = node.output as [string]
  const matrix = matrixOf(t, weights)
  const from = operandOf(t, x, matrix.k)
  const to = t.result(from.each, [matrix.n], 'int32')
  const [add] = t.graph.users(name)
  const added =
    add?.opType === 'Add' && t.graph.isPrivate(name, add) ? add.input.find((other) => other !== name) : undefined
  const fused = added !== undefined && t.isConstant(added)
  t.set(fused ? add!.output[0]! : name, to)
  if (fused) t.finish(add!)
  const run = runProduct(t, matrix, t.byteOperand(from), to, false)
  pushAlike(t, run, from.each, filled(Int32Array.from(fused ? t.integers(added!) : []), matrix.n))
}

/** Floats as bytes: x ÷ scale, rounded, halves to even, + zero point, within 0 … 255. */
export function quantizeLinear(t: OnednnTranslation, node: NodeProto): void {
  const [name, scaleName, zeroName] = node.input as [string, string, string]
  const { part: x, each, dims } = t.floats(name, node)
  const scale = t.constant(scaleName).values
  const zero = t.bytes(zeroName).values
  const repeats = ({ length }: { length: number }) => length === 1 || length === dims.at(-1)
  if (!repeats(scale) || !repeats(zero)) throw new NotTranslated(`QuantizeLinear of [${dims}] by an inner axis`)
  const out = t.answer(node, each, dims, 'uint8')
  const { width } = out
  const filledUp = (values: ArrayLike<number>) =>
    t.program.fixed(
      Float32Array.from({ length: Math.ceil(width / 4) * 4 }, (_, i) => values[(i % width) % values.length]!),
    )
  const [scales, zeros] = [filledUp(scale), filledUp(zero)]
  t.program.step(({ at, quantize }) => {
    const [from, target] = [at[x.buffer]! + x.offset * 4, at[out.buffer]!]
    return (call) => quantize(call[each], from, x.stride * 4, at[scales]!, at[zeros]!, target, out.stride, width)
  })
}

/** An input of floats that becomes bytes, and how: round(x · factor), halves to even, within 0 … 255. */
export interface ScaledInput {
  /** The tensor of bytes. */
  output: string
  /** The factor of each column. */
  factors: Float32Array
  /** Nodes that compute it. */
  nodes: NodeProto[]
}

/**
 * How an input becomes bytes, if all that reads it is a product with factors of its columns, and the rounding of that.
 */
export function scaledInput(t: OnednnTranslation, input: string): ScaledInput | undefined {
  const { graph } = t
  const [mul] = graph.users(input)
  if (mul?.opType !== 'Mul' || !graph.isPrivate(input, mul)) return undefined
  const factor = mul.input.find((other) => other !== input)
  const [quantize] = graph.users(mul.output[0]!)
  if (quantize?.opType !== 'QuantizeLinear' || !graph.isPrivate(mul.output[0]!, quantize)) return undefined
  const factors = factor === undefined ? undefined : graph.floats(factor)
  const [, scale, zero] = quantize.input as [string, string, string]
  const isPlain = graph.floats(scale)?.every((value) => value === 1) && t.bytes(zero).values.every((byte) => byte === 0)
  if (factors === undefined || !isPlain) return undefined
  return { output: quantize.output[0]!, factors, nodes: [mul, quantize] }
}

interface Matrix {
  k: number
  n: number
  values: Int8Array
  scale?: Float32Array
}

function matrixOf(t: OnednnTranslation, weights: string, scaleName?: string): Matrix {
  const { dims, values } = t.bytes(weights)
  const [k, n] = dims as [number, number]
  const scale = scaleName === undefined ? undefined : t.constant(scaleName).values
  if (dims.length !== 2 || (scale && scale.length !== n)) throw new NotTranslated(`weights [${dims}] of bytes`)
  return { k, n, values: new Int8Array(values.buffer, values.byteOffset, values.length), ...(scale && { scale }) }
}

function operandOf(t: OnednnTranslation, x: string, k: number): Tensor {
  const from = t.tensor(x)
  if (!equal(from.dims, [k])) throw new NotTranslated(`a product of [${from.dims}] and ${k} rows of weights`)
  return from
}

/** Sums of each row's request. */
function sumsOfRequest(t: OnednnTranslation, sums: string, x: Tensor, n: number): Part {
  const { kind, ofRequest } = t.tensor(sums)
  if (ofRequest === undefined || kind !== 'int32' || x.each !== 'rows' || product(ofRequest.dims) !== n)
    throw new NotTranslated('QGemm with sums of each row')
  return t.whole(ofRequest).part
}

function expectOnes(t: OnednnTranslation, ...names: string[]): void {
  for (const name of names)
    if (!t.constant(name).values.every((value) => value === 1)) throw new NotTranslated('a scale of bytes')
}

function expectZeros(t: OnednnTranslation, ...names: string[]): void {
  for (const name of names)
    if (!t.bytes(name).values.every((byte) => byte === 0)) throw new NotTranslated('a zero point of bytes')
}

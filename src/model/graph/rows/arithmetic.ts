import { equal, positive, product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from './errors.ts'
import type { Each } from './program.ts'
import type { Part, Tensor } from './tensor.ts'
import type { Translation, Translator } from './translation.ts'

/* Functions of a tensor's numbers, one after the other. */

/**
 * Computes `count` numbers from place `x` on, and stores them from place `out` on. Each function has a loop of its own:
 * through one loop for all, V8 would call the function for every number.
 */
export type Loop = (floats: Float32Array, x: number, out: number, count: number) => void

export function unary(compute: Loop): Translator {
  return (t, node) => {
    const { part: x, each, dims } = t.floats(node.input[0]!, node)
    const out = t.answer(node, each, dims, 'float32')
    t.program.step(({ at, floats }) => {
      const [source, target] = [at[x.buffer]! / 4 + x.offset, at[out.buffer]! / 4]
      return (call) => {
        for (let row = 0; row < call[each]; row++)
          compute(floats, source + row * x.stride, target + row * out.stride, x.width)
      }
    })
  }
}

export const sigmoidLoop: Loop = (floats, x, out, count) => {
  for (let i = 0; i < count; i++) floats[out + i] = 1 / (1 + Math.exp(-floats[x + i]!))
}

export function sigmoid(t: Translation, node: NodeProto): void {
  const { part: x, each, dims } = t.floats(node.input[0]!, node)
  const out = t.answer(node, each, dims, 'float32')
  t.program.step(({ at, sigmoid }) => {
    const [from, target] = [at[x.buffer]! + x.offset * 4, at[out.buffer]!]
    const { stride, width } = x
    if (stride === width) return (call) => sigmoid(from, target, call[each] * width)
    return (call) => {
      for (let row = 0; row < call[each]; row++) sigmoid(from + row * stride * 4, target + row * width * 4, width)
    }
  })
}

export function softmax(t: Translation, node: NodeProto): void {
  const { part: x, each, dims } = t.floats(node.input[0]!, node)
  const rank = dims.length + 1
  if (positive(intAttribute(node, 'axis', -1), rank) !== rank - 1)
    throw new NotTranslated('Softmax along an inner axis')
  const out = t.answer(node, each, dims, 'float32')
  const count = dims.at(-1)!
  t.program.step(({ at, softmax }) => {
    const [from, target] = [at[x.buffer]! + x.offset * 4, at[out.buffer]!]
    return (call) => softmax(call[each], x.width / count, count, from, x.stride * 4, target)
  })
}

/** Between integers of 32 and 64 bits nothing changes; a float becomes the integer towards zero. */
export function cast(t: Translation, node: NodeProto): void {
  const given = t.tensor(node.input[0]!)
  const target = intAttribute(node, 'to', 0)
  if (given.kind === 'float16' && target === DataType.FLOAT) {
    widen(t, node, given)
    return
  }
  const toIntegers = target === DataType.INT32 || target === DataType.INT64
  if (!toIntegers && target !== DataType.FLOAT) throw new NotTranslated('Cast to neither float32 nor integers')
  if (given.kind !== 'int32' && given.kind !== 'float32') throw new NotTranslated(`Cast of ${given.kind}`)
  if (toIntegers === (given.kind === 'int32')) {
    t.set(node.output[0]!, given)
    return
  }
  const { part: x, each, dims } = t.whole(given)
  const out = t.answer(node, each, dims, toIntegers ? 'int32' : 'float32')
  t.program.step(({ at, floats, integers }) => {
    const [source, target] = [at[x.buffer]! / 4 + x.offset, at[out.buffer]! / 4]
    const convert = toIntegers ? toIntegersOf : toFloatsOf
    return (call) => {
      for (let row = 0; row < call[each]; row++)
        convert(floats, integers, source + row * x.stride, target + row * out.stride, x.width)
    }
  })
}

/** Throws RangeError for what is no integer of 32 bits: to wrap it would make it another id. */
function toIntegersOf(floats: Float32Array, integers: Int32Array, from: number, to: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const value = floats[from + i]!
    if (!(value > -(2 ** 31) - 1 && value < 2 ** 31))
      throw new RangeError(`${value} is cast to an integer, and has more than 32 bits`)
    integers[to + i] = value
  }
}

function toFloatsOf(floats: Float32Array, integers: Int32Array, from: number, to: number, count: number): void {
  for (let i = 0; i < count; i++) floats[to + i] = integers[from + i]!
}

/** float16 as float32. */
function widen(t: Translation, node: NodeProto, given: Tensor): void {
  const { part: x, each, dims } = t.whole(given)
  const out = t.answer(node, each, dims, 'float32')
  t.program.step(({ at, widen }) => {
    const [from, target] = [at[x.buffer]! + x.offset * 2, at[out.buffer]!]
    return (call) => widen(call[each], from, x.stride * 2, target, out.stride * 4, out.width)
  })
}

/** Rows of int8, each with a scale of its own. */
export function dequantizeLinear(t: Translation, node: NodeProto): void {
  const [name, scaleName, zero] = node.input as [string, string, string?]
  const [rows, scales] = [t.flatOrNot(name), t.flatOrNot(scaleName)]
  const [width] = rows.dims.slice(scales.dims.length)
  const fits =
    zero === undefined &&
    intAttribute(node, 'axis', 1) === 0 &&
    rows.kind === 'int8' &&
    scales.kind === 'float32' &&
    rows.each === scales.each &&
    width !== undefined &&
    equal(rows.dims, [...scales.dims, width]) &&
    Boolean(rows.flat) === Boolean(scales.flat) &&
    (scales.flat || scales.dims.length === 0)
  const [x, scale] = [t.whole(rows).part, t.whole(scales).part]
  if (!fits || x.stride !== x.width || scale.stride !== scale.width)
    throw new NotTranslated('DequantizeLinear of other than int8 rows with a scale each')
  const { each } = rows
  const out = t.answer(node, each, rows.dims, 'float32', rows.flat)
  t.program.step(({ at, dequantize }) => {
    const [from, scales, target] = [at[x.buffer]! + x.offset, at[scale.buffer]! + scale.offset * 4, at[out.buffer]!]
    return (call) => dequantize(call[each] * scale.width, from, scales, target, width)
  })
}

/**
 * Translates operators on tensors of the same dimensions, or on one and a constant or tensor of its last dimensions.
 */
export function elementwise(compute: (a: number, b: number) => number): Translator {
  return (t, node) => pushLoop(t, operandsOf(t, node), compute)
}

function pushLoop(t: Translation, { a, b, each, out }: Operands, compute: (a: number, b: number) => number): void {
  t.program.step(({ at, floats }) => {
    const [x, y] = [at[a.buffer]! / 4 + a.offset, at[b.buffer]! / 4 + b.offset]
    const target = at[out.buffer]! / 4
    return (call) => {
      for (let row = 0; row < call[each]; row++)
        for (let i = 0; i < out.width; i++)
          floats[target + row * out.stride + i] = compute(
            floats[x + row * a.stride + (i % a.width)]!,
            floats[y + row * b.stride + (i % b.width)]!,
          )
    }
  })
}

/** The same of sums, by a kernel where both are as wide. */
export function add(t: Translation, node: NodeProto): void {
  const operands = operandsOf(t, node)
  const { a, b, each, out } = operands
  if (a.width !== b.width) {
    pushLoop(t, operands, (x, y) => x + y)
    return
  }
  t.program.step(({ at, add }) => {
    const [x, y, target] = [at[a.buffer]! + a.offset * 4, at[b.buffer]! + b.offset * 4, at[out.buffer]!]
    return (call) => add(call[each], x, a.stride * 4, y, b.stride * 4, target, out.stride * 4, out.width * 4)
  })
}

/** x where it is not negative, and x·slopes where it is, by a kernel where the slopes are the same in every row. */
export function prelu(t: Translation, node: NodeProto): void {
  const operands = operandsOf(t, node)
  const { a, b, each, out } = operands
  if (a.width !== b.width || b.stride !== 0) {
    pushLoop(t, operands, slope)
    return
  }
  t.program.step(({ at, prelu }) => {
    const [x, slopes, target] = [at[a.buffer]! + a.offset * 4, at[b.buffer]!, at[out.buffer]!]
    return (call) => prelu(call[each], x, a.stride * 4, slopes, target, out.stride * 4, out.width * 4)
  })
}

export const slope = (x: number, slope: number): number => (x < 0 ? slope * x : x)

/** Columns of the operands, and of the result. */
interface Operands {
  a: Part
  b: Part
  each: Each
  out: Part
}

/** The operands of a node; a constant is the same in every row. */
function operandsOf(t: Translation, node: NodeProto): Operands {
  if (node.input.length !== 2) throw new NotTranslated(`${node.opType} of ${node.input.length} tensors`)
  const operands = node.input.map((name) => {
    if (!t.isConstant(name)) return t.floats(name, node)
    const { dims, values } = t.constant(name)
    const first = dims.findIndex((side) => side !== 1)
    return { dims: first < 0 ? [] : dims.slice(first), values }
  })
  const [a, b] = operands as [(typeof operands)[number], (typeof operands)[number]]
  const wide = product(a.dims) >= product(b.dims) ? a : b
  if ('values' in wide) throw new NotTranslated(`${node.opType} of a wider constant`)
  for (const { dims } of operands) {
    const repeats = product(dims) === 1 || equal(wide.dims.slice(wide.dims.length - dims.length), dims)
    if (!repeats) throw new NotTranslated(`${node.opType} of [${a.dims}] and [${b.dims}]`)
  }
  if (operands.some((operand) => !('values' in operand) && operand.each !== wide.each))
    throw new NotTranslated(`${node.opType} of a row and a request`)
  const out = t.answer(node, wide.each, wide.dims, 'float32')
  const width = product(wide.dims)
  const partOf = (operand: typeof a): Part => {
    if (!('values' in operand)) return operand.part
    const { values } = operand
    const all = Float32Array.from({ length: width }, (_, i) => values[i % values.length]!)
    return { buffer: t.program.fixed(all), offset: 0, stride: 0, width }
  }
  return { a: partOf(a), b: partOf(b), each: wide.each, out }
}

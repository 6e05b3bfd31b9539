import { equal, positive, product } from '../base/dims.ts'
import { intAttribute } from '../graph/attributes.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../graph/onnx_pb.ts'
import { type Unary, unaries } from '../graph/unary-loops.ts'
import { NotTranslated } from './not-translated.ts'
import type { Part } from './tensor.ts'
import type { Translation, Translator } from './translation.ts'

/* Functions of a tensor's numbers, one after the other. */

export function unary(name: keyof typeof unaries): Translator {
  const compute: Unary = unaries[name]
  return (t, node) => {
    const { part: x, each, dims } = t.floats(node.input[0]!, node)
    const to = t.result(each, dims, 'float32')
    t.set(node.output[0]!, to)
    const [out] = to.parts as [Part]
    t.program.steps.push(({ at, floats }, call) => {
      const [source, target] = [at[x.buffer]! / 4 + x.offset, at[out.buffer]! / 4]
      for (let row = 0; row < call[each]; row++)
        compute(floats, source + row * x.stride, target + row * out.stride, x.width)
    })
  }
}

export function softmax(t: Translation, node: NodeProto): void {
  const { part: x, each, dims } = t.floats(node.input[0]!, node)
  const rank = dims.length + 1
  if (positive(intAttribute(node, 'axis', -1), rank) !== rank - 1)
    throw new NotTranslated('Softmax along an inner axis')
  const to = t.result(each, dims, 'float32')
  t.set(node.output[0]!, to)
  const [out] = to.parts as [Part]
  const count = dims.at(-1)!
  t.program.steps.push(({ at, softmax }, call) =>
    softmax(
      call[each],
      x.width / count,
      count,
      at[x.buffer]! + x.offset * 4,
      x.stride * 4,
      at[out.buffer]!,
      out.stride * 4,
    ),
  )
}

/** Between integers of any width nothing changes; a float becomes the integer towards zero. */
export function cast(t: Translation, node: NodeProto): void {
  const given = t.tensor(node.input[0]!)
  const target = intAttribute(node, 'to', 0)
  const toIntegers = target === DataType.INT32 || target === DataType.INT64
  if (!toIntegers && target !== DataType.FLOAT) throw new NotTranslated('Cast to neither float32 nor integers')
  if (toIntegers === (given.kind === 'int32')) {
    t.set(node.output[0]!, given)
    return
  }
  const { part: x, each, dims } = t.whole(given)
  const to = t.result(each, dims, toIntegers ? 'int32' : 'float32')
  t.set(node.output[0]!, to)
  const [out] = to.parts as [Part]
  t.program.steps.push(({ at, floats, integers }, call) => {
    const [source, target] = [at[x.buffer]! / 4 + x.offset, at[out.buffer]! / 4]
    for (let row = 0; row < call[each]; row++)
      for (let i = 0; i < x.width; i++) {
        const [from, into] = [source + row * x.stride + i, target + row * out.stride + i]
        if (toIntegers) integers[into] = Math.trunc(floats[from]!)
        else floats[into] = integers[from]!
      }
  })
}

/** Of tensors of the same dimensions, or one of them with a constant, or a tensor, of its last ones. */
export function elementwise(compute: (a: number, b: number) => number): Translator {
  return (t, node) => {
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
    const to = t.result(wide.each, wide.dims, 'float32')
    t.set(node.output[0]!, to)
    const [out] = to.parts as [Part]
    const [m, n] = [product(a.dims), product(b.dims)]
    const count = product(wide.dims)
    t.program.steps.push(({ at, floats }, call) => {
      const place = (operand: typeof a) =>
        'values' in operand
          ? { values: operand.values, from: 0, stride: 0 }
          : { values: floats, from: at[operand.part.buffer]! / 4 + operand.part.offset, stride: operand.part.stride }
      const [x, y] = [place(a), place(b)]
      const target = at[out.buffer]! / 4
      for (let row = 0; row < call[wide.each]; row++)
        for (let i = 0; i < count; i++)
          floats[target + row * out.stride + i] = compute(
            x.values[x.from + row * x.stride + (i % m)]!,
            y.values[y.from + row * y.stride + (i % n)]!,
          )
    })
  }
}

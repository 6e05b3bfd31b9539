import { equal, positive, product } from '../../../base/arrays.ts'
import { intAttribute } from '../../graph/ir/attributes.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../graph/ir/onnx_pb.ts'
import { type Unary, unaries } from '../../graph/ir/unary-loops.ts'
import type { RowTensor } from './program.ts'
import { floats, NotSmall, type Translation, type Translator } from './translation.ts'

/* Functions of a tensor's numbers. */

export function unary(name: keyof typeof unaries): Translator {
  const compute: Unary = unaries[name]
  return (t, node) => {
    const from = floats(t.tensor(node.input[0]!), node)
    const to = t.result(node.output[0]!, from.dims)
    const [x, out, count] = [from.at / 4, to.at / 4, product(from.dims)]
    t.program.steps.push(
      ({ floats }) =>
        () =>
          compute(floats, x, out, count),
    )
  }
}

/** Between integers of any width nothing changes; a float becomes the integer towards zero. */
export function cast(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  const target = intAttribute(node, 'to', 0)
  const toIntegers = target === DataType.INT32 || target === DataType.INT64
  if (!toIntegers && target !== DataType.FLOAT) throw new NotSmall('Cast to neither float32 nor integers')
  if (toIntegers === from.integers) {
    t.alias(node.output[0]!, from)
    return
  }
  const to = t.result(node.output[0]!, from.dims, toIntegers)
  const [x, out, count] = [from.at / 4, to.at / 4, product(from.dims)]
  t.program.steps.push(({ floats, integers }) =>
    toIntegers
      ? () => {
          for (let i = 0; i < count; i++) integers[out + i] = Math.trunc(floats[x + i]!)
        }
      : () => {
          for (let i = 0; i < count; i++) floats[out + i] = integers[x + i]!
        },
  )
}

/** Translates operators on tensors of the same dimensions, or on one and a constant of its last dimensions. */
export function elementwise(compute: (a: number, b: number) => number): Translator {
  return (t, node) => {
    const operands = node.input.map((name): RowTensor => {
      if (!t.isConstant(name)) return floats(t.tensor(name), node)
      const { dims, values } = t.constant(name)
      return { at: t.placed(name, values), dims: dims.slice(dims.findIndex((side) => side !== 1)), integers: false }
    })
    const [a, b] = operands as [RowTensor, RowTensor]
    const sizes = operands.map(({ dims }) => product(dims))
    const wide = sizes[0]! >= sizes[1]! ? a : b
    for (const [i, { dims }] of operands.entries()) {
      const repeats = sizes[i] === 1 || equal(wide.dims.slice(wide.dims.length - dims.length), dims)
      if (!repeats) throw new NotSmall(`${node.opType} of [${a.dims}] and [${b.dims}]`)
    }
    if (t.isConstant(node.input[wide === a ? 0 : 1]!)) throw new NotSmall(`${node.opType} of a wider constant`)
    const out = t.result(node.output[0]!, wide.dims).at / 4
    const count = product(wide.dims)
    const [x, y, m, n] = [a.at / 4, b.at / 4, sizes[0]!, sizes[1]!]
    t.program.steps.push(({ floats }) => () => {
      for (let i = 0; i < count; i++) floats[out + i] = compute(floats[x + (i % m)]!, floats[y + (i % n)]!)
    })
  }
}

export function softmax(t: Translation, node: NodeProto): void {
  const from = floats(t.tensor(node.input[0]!), node)
  const rank = from.dims.length + 1
  if (positive(intAttribute(node, 'axis', -1), rank) !== rank - 1) throw new NotSmall('Softmax along an inner axis')
  const to = t.result(node.output[0]!, from.dims)
  const [x, out, width] = [from.at / 4, to.at / 4, from.dims.at(-1)!]
  const count = product(from.dims)
  t.program.steps.push(({ floats }) => () => {
    for (let start = 0; start < count; start += width) {
      let most = Number.NEGATIVE_INFINITY
      for (let i = start; i < start + width; i++) most = Math.max(most, floats[x + i]!)
      let sum = 0
      for (let i = start; i < start + width; i++) {
        const value = Math.exp(floats[x + i]! - most)
        floats[out + i] = value
        sum += value
      }
      for (let i = start; i < start + width; i++) floats[out + i]! /= sum
    }
  })
}

import { product } from '../../../base/arrays.ts'
import type { AttributeValue } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import type { TensorShape } from '../ir/tensor-shape.ts'

/** Dimensions of a tensor; −k is k times the batch size. */
export type Dims = readonly number[]

/**
 * Appends float32 nodes to a graph and keeps the shapes of what they compute.
 *
 * Shapes hold fixed sides and multiples of the batch size (`TensorShape`); two sides of an operation are equal, or one
 * of them is 1 and repeats.
 */
export class Appender {
  readonly graph: Graph
  readonly #scalars = new Map<number, string>()

  constructor(graph: Graph) {
    this.graph = graph
  }

  /** Throws an Error naming the tensor if its shape is not known. */
  dims(name: string): Dims {
    const known = this.graph.shapes.get(name)?.dims ?? this.graph.dimsOf(name)
    if (known === undefined) throw new Error(`the shape of the tensor ${name} is not known`)
    return known
  }

  op(opType: string, inputs: string[], dims: Dims, attributes: Record<string, AttributeValue> = {}): string {
    return this.node(opType, inputs, { dtype: DataType.FLOAT, dims: [...dims] }, attributes)
  }

  node(opType: string, inputs: string[], shape: TensorShape, attributes: Record<string, AttributeValue> = {}): string {
    return this.graph.node(opType, inputs, { shape, attributes })
  }

  scalar(value: number): string {
    const known = this.#scalars.get(value)
    if (known !== undefined) return known
    const name = this.graph.constant(`scalar:${value}`, Float32Array.of(value), [])
    this.#scalars.set(value, name)
    return name
  }

  /** Element by element, repeating sides of 1. */
  binary(opType: string, a: string, b: string): string {
    return this.op(opType, [a, b], broadcast(this.dims(a), this.dims(b)))
  }

  unary(opType: string, x: string): string {
    return this.op(opType, [x], this.dims(x))
  }

  add = (a: string, b: string): string => this.binary('Add', a, b)
  subtract = (a: string, b: string): string => this.binary('Sub', a, b)
  multiply = (a: string, b: string): string => this.binary('Mul', a, b)
  divide = (a: string, b: string): string => this.binary('Div', a, b)

  /** 1 where the comparison of float tensors holds, 0 elsewhere. */
  indicator(comparison: 'Greater' | 'Less' | 'Equal', a: string, b: string): string {
    const dims = broadcast(this.dims(a), this.dims(b))
    const holds = this.node(comparison, [a, b], { dtype: DataType.BOOL, dims })
    return this.op('Cast', [holds], dims, { to: DataType.FLOAT })
  }

  /** Sum or mean over `axes`, counted from 0. */
  reduce(operator: 'ReduceSum' | 'ReduceMean', x: string, axes: readonly number[], keep: boolean): string {
    const sides = this.dims(x)
    const dims = keep
      ? sides.map((side, axis) => (axes.includes(axis) ? 1 : side))
      : sides.filter((_, axis) => !axes.includes(axis))
    const keepdims = keep ? 1 : 0
    // ReduceMean takes its axes as an input from operator set 18 on, ReduceSum from 13 on.
    return operator === 'ReduceSum' || this.graph.opset >= 18
      ? this.op(operator, [x, this.graph.integers(axes)], dims, { keepdims })
      : this.op(operator, [x], dims, { keepdims, axes: [...axes] })
  }

  /** The number of elements as a float32 scalar; a constant where it does not grow with the batch. */
  sizeOf(name: string): string {
    const dims = this.dims(name)
    if (dims.every((side) => side > 0)) return this.scalar(product(dims))
    const size = this.node('Size', [name], { dtype: DataType.INT64, dims: [] })
    return this.op('Cast', [size], [], { to: DataType.FLOAT })
  }

  /** `x` in the shape of `like`, which has as many elements. */
  reshapeLike(x: string, like: string): string {
    const dims = this.dims(like)
    const shape = this.node('Shape', [like], { dtype: DataType.INT64, dims: [dims.length] })
    return this.op('Reshape', [x, shape], dims)
  }

  transpose(x: string, perm: readonly number[]): string {
    const sides = this.dims(x)
    return this.op(
      'Transpose',
      [x],
      perm.map((axis) => sides[axis]!),
      { perm: [...perm] },
    )
  }

  /** Swaps the last two sides. */
  transposeMatrices(x: string): string {
    const rank = this.dims(x).length
    const axes = Array.from({ length: rank }, (_, axis) => axis)
    return this.transpose(x, [...axes.slice(0, -2), rank - 1, rank - 2])
  }

  /**
   * The gradient of something that was repeated from `dims` to the shape of `gradient`: summed over what was repeated.
   */
  sumTo(gradient: string, like: string): string {
    const from = this.dims(gradient)
    const to = this.dims(like)
    const more = from.length - to.length
    const axes = from.flatMap((side, axis) => (axis < more || to[axis - more] !== side ? [axis] : []))
    if (axes.length === 0) return gradient
    const kept = to.length === from.length || axes.some((axis) => axis >= more)
    if (!kept) return this.reduce('ReduceSum', gradient, axes, false)
    const summed = this.reduce('ReduceSum', gradient, axes, true)
    return more === 0 ? summed : this.reshapeLike(summed, like)
  }
}

/** The shape of an operation on two tensors, sides of 1 repeated. */
export function broadcast(a: Dims, b: Dims): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[a.length - rank + axis] ?? 1
    const right = b[b.length - rank + axis] ?? 1
    return left === 1 ? right : left
  })
}

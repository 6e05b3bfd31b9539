import type { StoredTensor } from './checkpoint.ts'
import type { ElementType, TensorData } from './tensor-data.ts'

/**
 * A dimension of a tensor: a number, −k for k times the batch, or undefined if unknown.
 */
export type Side = number | undefined

/** k times the batch size, as an element of a tensor. */
export interface Batches {
  batches: number
}

/** An element of a small integer tensor, usually a dimension of a shape. */
export type Content = number | Batches

/** A tensor of the graph under construction, which is added when it is first read. */
export interface Value {
  type: ElementType
  /** undefined if not even the rank is known. */
  dims: Side[] | undefined
  /** Its name in the ONNX graph; undefined until it is read. */
  name?: string
  /** A constant's value. */
  data?: TensorData
  /** Elements in row-major order, if they are few known integers. */
  contents?: readonly Content[]
  /** Set for a variable instead of a tensor: the location of its value. */
  variable?: StoredTensor
}

/** Maximum elements of a shape. */
export const mostContents = 4096

export function isNumbers(contents: readonly Content[] | undefined): contents is readonly number[] {
  return contents?.every((content) => typeof content === 'number') ?? false
}

/** A dimension as an element of a tensor; undefined if unknown. */
export function contentOf(side: Side): Content | undefined {
  return side !== undefined && side < 0 ? { batches: -side } : side
}

export function sideOf(content: Content): number {
  return typeof content === 'number' ? content : -content.batches
}

export function times(a: Content, b: Content): Content | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a * b
  if (typeof a === 'number') return a === 0 ? 0 : { batches: (b as Batches).batches * a }
  if (typeof b === 'number') return b === 0 ? 0 : { batches: a.batches * b }
  return undefined
}

/** Number of elements of a tensor, as a dimension; undefined if unknown or quadratic in the batch. */
export function elementsOf(dims: readonly Side[] | undefined): Side {
  let elements: Content | undefined = 1
  for (const side of dims ?? [undefined]) {
    const content = contentOf(side)
    elements = elements === undefined || content === undefined ? undefined : times(elements, content)
  }
  return elements === undefined ? undefined : sideOf(elements)
}

/** Dimensions after broadcasting. */
export function broadcast(a: readonly Side[] | undefined, b: readonly Side[] | undefined): Side[] | undefined {
  if (a === undefined || b === undefined) return undefined
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    // Missing leading dimensions are 1.
    const [x, y] = [a, b].map((dims) => (i < rank - dims.length ? 1 : dims[i - rank + dims.length]))
    if (x === 1) return y
    if (y === 1 || x === y) return x
    if (x === undefined) return y !== undefined && y > 1 ? y : undefined
    return y === undefined && x > 1 ? x : undefined
  })
}

/** Whether all dimensions are known. */
export function isKnown(dims: readonly Side[] | undefined): dims is readonly number[] {
  return dims?.every((side) => side !== undefined) ?? false
}

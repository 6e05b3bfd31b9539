import type { StoredTensor } from './checkpoint.ts'
import type { ElementType, TensorData } from './tensor-data.ts'

/**
 * A side of a tensor: a number, −k for k times the batch, or undefined where it is not known.
 */
export type Side = number | undefined

/** k times the batch, as a number within a tensor. */
export interface Batches {
  batches: number
}

/** What an element of a small integer tensor is: a shape's sides, mostly. */
export type Content = number | Batches

/** A tensor of the graph under construction, or what will be one when something reads it. */
export interface Value {
  type: ElementType
  /** undefined where not even the rank is known. */
  dims: Side[] | undefined
  /** Its name in the ONNX graph; undefined until something reads it there. */
  name?: string
  /** A constant's value. */
  data?: TensorData
  /** Elements in row-major order, where they are known, integers and few. */
  contents?: readonly Content[]
  /** It is no tensor but a variable, whose value lies here. */
  variable?: StoredTensor
}

/** More elements are no shape. */
export const mostContents = 4096

export function isNumbers(contents: readonly Content[] | undefined): contents is readonly number[] {
  return contents?.every((content) => typeof content === 'number') ?? false
}

/** A side as an element of a tensor; undefined where it is not known. */
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

/** Elements of a tensor, as a side; undefined where they are not known, or grow with the batch's square. */
export function elementsOf(dims: readonly Side[] | undefined): Side {
  let elements: Content | undefined = 1
  for (const side of dims ?? [undefined]) {
    const content = contentOf(side)
    elements = elements === undefined || content === undefined ? undefined : times(elements, content)
  }
  return elements === undefined ? undefined : sideOf(elements)
}

/** Dimensions of what is computed element by element. */
export function broadcast(a: readonly Side[] | undefined, b: readonly Side[] | undefined): Side[] | undefined {
  if (a === undefined || b === undefined) return undefined
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    // Missing sides in front are 1.
    const [x, y] = [a, b].map((dims) => (i < rank - dims.length ? 1 : dims[i - rank + dims.length]))
    if (x === 1) return y
    if (y === 1 || x === y) return x
    if (x === undefined) return y !== undefined && y > 1 ? y : undefined
    return y === undefined && x > 1 ? x : undefined
  })
}

/** Whether all is known: then passes may know it too. */
export function isKnown(dims: readonly Side[] | undefined): dims is readonly number[] {
  return dims?.every((side) => side !== undefined) ?? false
}

import type { StoredTensor } from './checkpoint.ts'
import { type ElementType, elementTypeOf, type TensorData } from './tensor-data.ts'
import type { AttrValue_ListValue, DataType, NodeDef, TensorProto } from './tensorflow_pb.ts'

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

/*
 * Attributes of a node. An absent attribute, or one of another kind, is `otherwise`: files omit default values.
 */

type Attributes = NodeDef['attr']

interface Kinds {
  i: bigint
  f: number
  b: boolean
  s: Uint8Array
  type: DataType
  tensor: TensorProto
  list: AttrValue_ListValue
}

function held<K extends keyof Kinds>(attr: Attributes, name: string, kind: K): Kinds[K] | undefined {
  const value = Object.hasOwn(attr, name) ? attr[name]!.value : undefined
  return value?.case === kind ? (value.value as Kinds[K]) : undefined
}

export function intOf(attr: Attributes, name: string, otherwise: number): number {
  const value = held(attr, name, 'i')
  return value === undefined ? otherwise : Number(value)
}

export function floatOf(attr: Attributes, name: string, otherwise: number): number {
  return held(attr, name, 'f') ?? otherwise
}

export function boolOf(attr: Attributes, name: string, otherwise: boolean): boolean {
  return held(attr, name, 'b') ?? otherwise
}

export function textOf(attr: Attributes, name: string, otherwise: string): string {
  const value = held(attr, name, 's')
  return value === undefined ? otherwise : new TextDecoder().decode(value)
}

export function intsOf(attr: Attributes, name: string): number[] {
  return held(attr, name, 'list')?.i.map(Number) ?? []
}

export function textsOf(attr: Attributes, name: string): string[] {
  return held(attr, name, 'list')?.s.map((value) => new TextDecoder().decode(value)) ?? []
}

export function tensorOf(attr: Attributes, name: string): TensorProto | undefined {
  return held(attr, name, 'tensor')
}

/** undefined for unsupported types. */
export function elementOf(attr: Attributes, name: string, otherwise: ElementType): ElementType | undefined {
  const value = held(attr, name, 'type')
  return value === undefined ? otherwise : elementTypeOf(value)
}

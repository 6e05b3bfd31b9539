import { type ElementType, elementTypeOf } from './tensor-data.ts'
import type { AttrValue_ListValue, DataType, NodeDef, TensorProto } from './tensorflow_pb.ts'

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

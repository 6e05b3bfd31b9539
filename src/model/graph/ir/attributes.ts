import type { MessageInitShape } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
} from './onnx_pb.ts'

/* Attributes of a node: reading them, and making them from plain values. */

/** A number is an integer; `{ float }` is a float32. */
export type AttributeValue = number | { float: number } | number[] | string

export function attribute(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((candidate) => candidate.name === name)
}

export function intAttribute(node: NodeProto, name: string, otherwise: number): number {
  const found = attribute(node, name)
  return found === undefined ? otherwise : Number(found.i)
}

export function floatAttribute(node: NodeProto, name: string, otherwise: number): number {
  return attribute(node, name)?.f ?? otherwise
}

export function intsAttribute(node: NodeProto, name: string): number[] | undefined {
  return attribute(node, name)?.ints.map(Number)
}

export function attributeOf(name: string, value: AttributeValue): MessageInitShape<typeof AttributeProtoSchema> {
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: BigInt(value) }
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) }
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value.map(BigInt) }
  return { name, type: AttributeType.FLOAT, f: value.float }
}

import type { DescMessage } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { ModelError } from '../../../base/errors.ts'
import { ModelProtoSchema, NodeProtoSchema } from './onnx_pb.ts'

/** A feature takes about twenty nodes where each has a graph of its own, and a manifest names at most 4096. */
const mostNodes = 100_000
/** Nodes, attributes, tensors, declared shapes and their sides. */
const mostMessages = 1_000_000

/**
 * Throws UNSUPPORTED_GRAPH for an ONNX model with more parts than any real one: reading millions takes minutes and
 * gigabytes. Counts them in the bytes, before any object is made. Throws an Error where the bytes are no ONNX model.
 */
export function checkGraphBounds(bytes: Uint8Array): void {
  const reader = new BinaryReader(bytes)
  let nodes = 0
  let messages = 0

  function count(message: DescMessage, end: number): void {
    const parts = partsOf(message)
    while (reader.pos < end) {
      const [field, wireType] = reader.tag()
      const part = wireType === WireType.LengthDelimited ? parts.get(field) : undefined
      if (part === undefined) {
        reader.skip(wireType, field)
        continue
      }
      if (part.typeName === NodeProtoSchema.typeName && ++nodes > mostNodes) throw tooLarge(`${mostNodes} nodes`)
      if (++messages > mostMessages) throw tooLarge(`${mostMessages} nodes, attributes, tensors and shapes`)
      const length = reader.uint32()
      count(part, reader.pos + length)
    }
  }
  count(ModelProtoSchema, bytes.length)
}

const tooLarge = (limit: string) => new ModelError('UNSUPPORTED_GRAPH', `it has more than ${limit}`)

const known = new Map<string, Map<number, DescMessage>>()

/** The fields of a message that hold messages, by number. */
function partsOf({ typeName, fields }: DescMessage): Map<number, DescMessage> {
  let parts = known.get(typeName)
  if (parts === undefined) {
    parts = new Map(fields.flatMap(({ number, message }) => (message === undefined ? [] : [[number, message]])))
    known.set(typeName, parts)
  }
  return parts
}

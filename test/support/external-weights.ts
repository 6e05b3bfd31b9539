import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { external } from '../../src/model/graph/ir/external-data.ts'
import { ModelProtoSchema, type TensorProto } from '../../src/model/graph/ir/onnx_pb.ts'

/**
 * Writes an ONNX model into `folder` with the data of all constants and of Constant nodes, even single numbers, in
 * `<file>.data`, as PyTorch and the package onnx do. Data that is not stored as bytes stays.
 */
export async function saveExternal(folder: string, file: string, bytes: Uint8Array): Promise<void> {
  const model = fromBinary(ModelProtoSchema, bytes)
  const location = `${file}.data`
  const pieces: Uint8Array[] = []
  let offset = 0
  const move = (tensor: TensorProto): TensorProto => {
    const { rawData } = tensor
    if (rawData.length === 0) return tensor
    pieces.push(rawData)
    const moved = external(tensor, location, offset, rawData.length)
    offset += rawData.length
    return moved
  }
  const graph = model.graph!
  graph.initializer = graph.initializer.map(move)
  for (const { attribute } of graph.node) for (const one of attribute) if (one.t) one.t = move(one.t)
  await writeFile(join(folder, location), Buffer.concat(pieces))
  await writeFile(join(folder, file), toBinary(ModelProtoSchema, model))
}

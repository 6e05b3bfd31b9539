import { create } from '@bufbuild/protobuf'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.ts'

/* Constants of a graph as numbers; their data is little-endian. */

export type ConstantData = Float32Array | Int32Array | BigInt64Array | Int8Array | Uint8Array

/** A constant that shares the memory of `data`. */
export function constantOf(name: string, data: ConstantData, dims: number[]): TensorProto {
  const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  return create(TensorProtoSchema, { name, dataType: dataTypeOf(data), dims: dims.map(BigInt), rawData })
}

/** Whether the data is in a file rather than in the graph. */
export function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === DataLocation.EXTERNAL
}

/** Values of a float32 constant; undefined for other types and for external data. */
export function floatsOf(tensor: TensorProto): Float32Array | undefined {
  if (tensor.dataType !== DataType.FLOAT || isExternal(tensor)) return undefined
  if (tensor.floatData.length > 0) return Float32Array.from(tensor.floatData)
  // Copied only where it is not aligned.
  const bytes = tensor.rawData.byteOffset % 4 === 0 ? tensor.rawData : new Uint8Array(tensor.rawData)
  return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4)
}

/** Values of an int32 or int64 constant; undefined for other types and for external data. */
export function integersOf(tensor: TensorProto): number[] | undefined {
  if (isExternal(tensor)) return undefined
  const { rawData: raw } = tensor
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  if (tensor.dataType === DataType.INT64)
    return raw.length > 0
      ? Array.from({ length: raw.length / 8 }, (_, i) => Number(view.getBigInt64(i * 8, true)))
      : tensor.int64Data.map(Number)
  if (tensor.dataType === DataType.INT32)
    return raw.length > 0
      ? Array.from({ length: raw.length / 4 }, (_, i) => view.getInt32(i * 4, true))
      : [...tensor.int32Data]
  return undefined
}

function dataTypeOf(data: ConstantData): number {
  if (data instanceof Float32Array) return DataType.FLOAT
  if (data instanceof Int32Array) return DataType.INT32
  if (data instanceof BigInt64Array) return DataType.INT64
  return data instanceof Int8Array ? DataType.INT8 : DataType.UINT8
}

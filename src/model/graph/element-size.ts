import { TensorProto_DataType as DataType } from './onnx_pb.ts'

const { BOOL, INT8, UINT8, INT16, UINT16, FLOAT16, BFLOAT16, FLOAT, INT32, UINT32, DOUBLE, INT64, UINT64 } = DataType

const sizes = new Map<number, number>([
  ...[BOOL, INT8, UINT8].map((type) => [type, 1] as const),
  ...[INT16, UINT16, FLOAT16, BFLOAT16].map((type) => [type, 2] as const),
  ...[FLOAT, INT32, UINT32].map((type) => [type, 4] as const),
  ...[DOUBLE, INT64, UINT64].map((type) => [type, 8] as const),
])

/** Bytes of one element of a constant; 1 for unknown types and types smaller than a byte. */
export function elementSize(dataType: number): number {
  return sizes.get(dataType) ?? 1
}

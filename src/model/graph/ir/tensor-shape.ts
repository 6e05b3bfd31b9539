import { create } from '@bufbuild/protobuf'
import { TensorProto_DataType as DataType, type ValueInfoProto, ValueInfoProtoSchema } from './onnx_pb.ts'

/**
 * The element type and dimensions of a tensor. A negative dimension −k is k times the batch size: [−1, 16] is [batch,
 * 16].
 */
export interface TensorShape {
  dtype: number
  dims: number[]
}

/** Whether a tensor has rows for each item of a list, [batch·items, …]. */
export const isOfItems = (shape: TensorShape | undefined): boolean => (shape?.dims[0] ?? 0) < -1

export const floatShape = (...dims: number[]): TensorShape => ({ dtype: DataType.FLOAT, dims })

/** Declares an input or output; `count` names the size that −1 stands for. */
export function declare(name: string, { dtype, dims }: TensorShape, count = 'batch'): ValueInfoProto {
  const dim = dims.map((side) =>
    side < 0
      ? { value: { case: 'dimParam' as const, value: side === -1 ? count : `${count}*${-side}` } }
      : { value: { case: 'dimValue' as const, value: BigInt(side) } },
  )
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: dtype, shape: { dim } } } },
  })
}

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

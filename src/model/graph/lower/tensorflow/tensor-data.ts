import { product } from '../../../../base/arrays.ts'
import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { TensorProto_DataType as Onnx } from '../../ir/onnx_pb.ts'
import { DataType, type TensorProto } from './tensorflow_pb.ts'

/** Supported element types. */
export type ElementType = 'float32' | 'float64' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8'

const types: Record<ElementType, { tensorflow: DataType; onnx: Onnx; bytes: number }> = {
  float32: { tensorflow: DataType.DT_FLOAT, onnx: Onnx.FLOAT, bytes: 4 },
  float64: { tensorflow: DataType.DT_DOUBLE, onnx: Onnx.DOUBLE, bytes: 8 },
  int32: { tensorflow: DataType.DT_INT32, onnx: Onnx.INT32, bytes: 4 },
  int64: { tensorflow: DataType.DT_INT64, onnx: Onnx.INT64, bytes: 8 },
  bool: { tensorflow: DataType.DT_BOOL, onnx: Onnx.BOOL, bytes: 1 },
  uint8: { tensorflow: DataType.DT_UINT8, onnx: Onnx.UINT8, bytes: 1 },
  int8: { tensorflow: DataType.DT_INT8, onnx: Onnx.INT8, bytes: 1 },
}

const ofTensorflow = new Map(Object.entries(types).map(([name, { tensorflow }]) => [tensorflow, name as ElementType]))

export function elementTypeOf(type: DataType): ElementType | undefined {
  return ofTensorflow.get(type)
}

const typeNames = new Map<number, string>(
  Object.entries(DataType).map(([name, type]) => [type, name.replace(/^DT_/, '').toLowerCase()]),
)

/** Readable name of a TensorFlow type: `float`, `string`, `resource`. */
export function nameOfType(type: DataType): string {
  return typeNames.get(type) ?? `type ${type}`
}

export function onnxTypeOf(type: ElementType): Onnx {
  return types[type].onnx
}

/** Bytes of a tensor; may exceed the safe integers or be infinite. */
export function sizeOf(type: ElementType, shape: readonly number[]): number {
  return product(shape) * types[type].bytes
}

/** A constant: row-major, little-endian. */
export interface TensorData {
  type: ElementType
  shape: number[]
  bytes: Uint8Array
}

/** Memory that a graph may still use beyond the size of its file, for constants that repeat one value. */
export interface Budget {
  bytes: number
}

/** Per graph, bytes. */
export function newBudget(): Budget {
  return { bytes: 1 << 26 }
}

/**
 * A TensorProto's values: as bytes, or as a list whose last value is repeated.
 *
 * Throws INVALID_BUNDLE if they do not fit its shape, UNSUPPORTED_GRAPH for other types; `where` begins the message.
 */
export function readTensorProto(proto: TensorProto, where: string, budget: Budget): TensorData {
  const type = elementTypeOf(proto.dtype)
  if (type === undefined) throw unsupportedIn(where, `constants of type ${nameOfType(proto.dtype)} are not supported`)
  const shape = (proto.tensorShape?.dim ?? []).map(({ size }) => Number(size))
  const size = sizeOf(type, shape)
  if (proto.tensorShape?.unknownRank || shape.some((side) => side < 0))
    throw invalidIn(where, `a constant of the shape [${shape}]`)
  const content = proto.tensorContent
  if (content.length > 0) {
    if (content.length !== size)
      throw invalidIn(where, `its ${content.length} bytes are not those of ${type} [${shape}]`)
    return { type, shape, bytes: content }
  }
  if (!(size <= budget.bytes))
    throw unsupportedIn(where, `a constant of ${size} bytes, of which the file says one value`)
  budget.bytes -= size
  const { bytes, set } = writer(type, size)
  const values = valuesOf(proto, type)
  const count = size / types[type].bytes
  if (values.length > count) throw invalidIn(where, `${values.length} values for the shape [${shape}]`)
  // Without values all elements are 0.
  for (let i = 0; i < count && values.length > 0; i++) set(i, values[Math.min(i, values.length - 1)]!)
  return { type, shape, bytes }
}

function valuesOf(proto: TensorProto, type: ElementType): ArrayLike<number | bigint | boolean> {
  switch (type) {
    case 'float32':
      return proto.floatVal
    case 'float64':
      return proto.doubleVal
    case 'int64':
      return proto.int64Val
    case 'bool':
      return proto.boolVal
    default:
      return proto.intVal
  }
}

function writer(type: ElementType, size: number) {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  const set = (i: number, value: number | bigint | boolean) => {
    if (type === 'float32') view.setFloat32(4 * i, Number(value), true)
    else if (type === 'float64') view.setFloat64(8 * i, Number(value), true)
    else if (type === 'int32') view.setInt32(4 * i, Number(value), true)
    else if (type === 'int64') view.setBigInt64(8 * i, BigInt(value), true)
    else bytes[i] = Number(value)
  }
  return { bytes, set }
}

/** Integers of a constant; undefined for other types, and for more than `most` values. */
export function integersOf({ type, bytes }: TensorData, most: number): number[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (type === 'int32' && bytes.length <= 4 * most)
    return Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i, true))
  if (type === 'int64' && bytes.length <= 8 * most)
    return Array.from({ length: bytes.length / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)))
  return undefined
}

/** A constant of these integers. */
export function integers(type: 'int32' | 'int64', shape: number[], values: readonly number[]): TensorData {
  const { bytes, set } = writer(type, sizeOf(type, shape))
  values.forEach((value, i) => {
    set(i, type === 'int64' ? BigInt(value) : value)
  })
  return { type, shape, bytes }
}

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type AttrValue,
  AttrValueSchema,
  DataType,
  type FunctionDef,
  FunctionDefSchema,
  type NodeDef,
  NodeDefSchema,
  type TensorProto,
  TensorProtoSchema,
  type TensorShapeProto,
  TensorShapeProtoSchema,
} from '../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'

/*
 * TensorFlow graphs written by hand, node by node.
 */

export type Attribute = number | boolean | string | number[] | string[] | { float: number } | AttrValue

export function shapeProto(dims: readonly number[]): TensorShapeProto {
  return create(TensorShapeProtoSchema, { dim: dims.map((size) => ({ size: BigInt(size) })) })
}

/** Operators whose inputs have no type `T`. */
const untyped = new Set(
  (
    'All Any AssignVariableOp Cast Const GatherNd GatherV2 LogicalAnd LogicalNot LogicalOr Placeholder Range ' +
    'ReadVariableOp ResourceGather RestoreV2 StatefulPartitionedCall VarHandleOp While'
  ).split(' '),
)

/** Types that libtensorflow wants to be told, and has no default for, of these operators. */
const more: Record<string, Record<string, Attribute>> = {
  GatherV2: { Tparams: type(DataType.DT_FLOAT), Tindices: type(DataType.DT_INT32), Taxis: type(DataType.DT_INT32) },
  FusedBatchNormV3: { U: type(DataType.DT_FLOAT) },
  OneHot: { TI: type(DataType.DT_INT32) },
  Slice: { Index: type(DataType.DT_INT32) },
  SplitV: { Tlen: type(DataType.DT_INT32) },
  StridedSlice: { Index: type(DataType.DT_INT32) },
}

/** A node; numbers are integers unless said otherwise; its type is float. */
export function node(op: string, name: string, input: string[] = [], attr: Record<string, Attribute> = {}): NodeDef {
  return create(NodeDefSchema, {
    op,
    name,
    input,
    attr: Object.fromEntries(
      Object.entries({ ...(untyped.has(op) ? {} : { T: type(DataType.DT_FLOAT) }), ...more[op], ...attr }).map(
        ([key, value]) => [key, attributeOf(value)],
      ),
    ),
  })
}

function attributeOf(value: Attribute): MessageInitShape<typeof AttrValueSchema> {
  const bytes = (text: string) => new TextEncoder().encode(text)
  if (typeof value === 'number') return { value: { case: 'i', value: BigInt(value) } }
  if (typeof value === 'boolean') return { value: { case: 'b', value } }
  if (typeof value === 'string') return { value: { case: 's', value: bytes(value) } }
  if (Array.isArray(value)) {
    const s = value.filter((each) => typeof each === 'string').map(bytes)
    const i = value.filter((each) => typeof each === 'number').map(BigInt)
    return { value: { case: 'list', value: { s, i } } }
  }
  return '$typeName' in value ? value : { value: { case: 'f', value: value.float } }
}

export function type(value: DataType): AttrValue {
  return create(AttrValueSchema, { value: { case: 'type', value } })
}

export function functionAttribute(name: string): AttrValue {
  return create(AttrValueSchema, { value: { case: 'func', value: { name } } })
}

export function placeholder(name: string, given: DataType = DataType.DT_FLOAT): NodeDef {
  return node('Placeholder', name, [], { dtype: type(given) })
}

export function constant(name: string, tensor: TensorProto): NodeDef {
  const value = create(AttrValueSchema, { value: { case: 'tensor', value: tensor } })
  return node('Const', name, [], { dtype: type(tensor.dtype), value })
}

export function floats(dims: number[], values: ArrayLike<number>): TensorProto {
  const bytes = new Uint8Array(Float32Array.from(values).buffer)
  return create(TensorProtoSchema, { dtype: DataType.DT_FLOAT, tensorShape: shapeProto(dims), tensorContent: bytes })
}

export function integers(values: number[], dims = [values.length]): TensorProto {
  return create(TensorProtoSchema, { dtype: DataType.DT_INT32, tensorShape: shapeProto(dims), intVal: values })
}

export function booleans(dims: number[], boolVal: boolean[]): TensorProto {
  return create(TensorProtoSchema, { dtype: DataType.DT_BOOL, tensorShape: shapeProto(dims), boolVal })
}

/** A function: arguments, and results as `name: tensor of its body`. */
export function functionOf(
  name: string,
  args: string[],
  nodeDef: NodeDef[],
  ret: Record<string, string>,
  given: DataType = DataType.DT_FLOAT,
): FunctionDef {
  const inputArg = args.map((arg) => ({ name: arg, type: given }))
  const outputArg = Object.keys(ret).map((arg) => ({ name: arg, type: DataType.DT_FLOAT }))
  return create(FunctionDefSchema, { signature: { name, inputArg, outputArg }, nodeDef, ret })
}

export function call(name: string, callee: string, input: string[]): NodeDef {
  return node('StatefulPartitionedCall', name, input, { f: functionAttribute(callee) })
}

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts'

/** A tensor of the graph under construction; its first dimension is the batch, of any size, and not listed. */
export interface Value {
  name: string
  dtype: 'float32' | 'int32'
  /** The dimensions after the batch. */
  dims: number[]
}

/** An attribute: an integer, a float, or a list of integers. */
export type Attribute = { int: number } | { float: number } | { ints: number[] }

/** ONNX operator set and file format: what ONNX Runtime has read since 1.13. */
const OPSET = 17
const IR_VERSION = 8

/** Grows an ONNX graph node by node. Names are unique over tensors of every kind. */
export class GraphBuilder {
  readonly #taken: Set<string>
  readonly #nodes: NodeProto[] = []
  readonly #initializers: TensorProto[] = []
  readonly #integers = new Map<string, string>()

  /** `reserved`: names that are kept for the tensors that ask for them exactly. */
  constructor(reserved: Iterable<string>) {
    this.#taken = new Set(reserved)
  }

  /** A name like `wanted` that no tensor has. */
  fresh(wanted: string): string {
    let name = wanted
    for (let n = 1; this.#taken.has(name); n++) name = `${wanted}:${n}`
    this.#taken.add(name)
    return name
  }

  /** Appends a node with one output, named `output` exactly; returns `output`. */
  node(opType: string, input: string[], output: string, attributes: Record<string, Attribute> = {}): string {
    const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value))
    this.#nodes.push(create(NodeProtoSchema, { opType, name: output, input, output: [output], attribute }))
    return output
  }

  /** A constant of the graph; `data` is row-major and little-endian, and not copied. Returns its name. */
  constant(name: string, dtype: 'float32' | 'int32' | 'int64', dims: number[], data: Uint8Array): string {
    const unique = this.fresh(name)
    const dataType = { float32: DataType.FLOAT, int32: DataType.INT32, int64: DataType.INT64 }[dtype]
    const tensor = { name: unique, dataType, dims: dims.map(BigInt), rawData: data }
    this.#initializers.push(create(TensorProtoSchema, tensor))
    return unique
  }

  /** A constant of any type, whose data may be in a file; no other tensor may have its name. Returns its name. */
  tensor(tensor: TensorProto): string {
    this.#taken.add(tensor.name)
    this.#initializers.push(tensor)
    return tensor.name
  }

  /** A list of integers as operators take for shapes and axes, one constant for equal lists. Returns its name. */
  integers(values: number[]): string {
    const key = values.join(',')
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
    const name = this.#integers.get(key) ?? this.constant(`integers:${key}`, 'int64', [values.length], data)
    this.#integers.set(key, name)
    return name
  }

  finish(inputs: Value[], outputs: Value[]): ModelProto {
    const graph = create(GraphProtoSchema, {
      name: 'multigate',
      node: this.#nodes,
      initializer: this.#initializers,
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
    })
    return create(ModelProtoSchema, {
      irVersion: BigInt(IR_VERSION),
      producerName: 'multigate',
      opsetImport: [{ domain: '', version: BigInt(OPSET) }],
      graph,
    })
  }
}

function attributeOf(name: string, value: Attribute): MessageInitShape<typeof AttributeProtoSchema> {
  if ('int' in value) return { name, type: AttributeType.INT, i: BigInt(value.int) }
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float }
  return { name, type: AttributeType.INTS, ints: value.ints.map(BigInt) }
}

function valueInfo({ name, dtype, dims }: Value): ValueInfoProto {
  const elemType = dtype === 'float32' ? DataType.FLOAT : DataType.INT32
  const batch = { value: { case: 'dimParam' as const, value: 'batch' } }
  const rest = dims.map((side) => ({ value: { case: 'dimValue' as const, value: BigInt(side) } }))
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType, shape: { dim: [batch, ...rest] } } } },
  })
}

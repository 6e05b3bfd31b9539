import { clone, create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { ModelError } from '../base/errors.ts'
import {
  type AttributeProto,
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
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

/**
 * What is known of a tensor. A negative side −k stands for k times the batch: [−1, 16] is [batch, 16].
 */
export interface TensorShape {
  dtype: number
  dims: number[]
}

export type AttributeValue = number | { float: number } | number[] | string

export interface NodeOptions {
  attributes?: Record<string, AttributeValue>
  domain?: string
  /** Shapes of the outputs, where later passes need them. */
  shapes?: TensorShape[]
  /** Names of the outputs; default: fresh ones. */
  outputs?: string[]
}

/** Nodes that a pass left alone, and why. */
export type Left = Map<NodeProto, string>

/** The custom operators of ONNX Runtime. */
export const microsoft = 'com.microsoft'

/**
 * An ONNX graph to be rewritten: nodes, constants, and what is known of shapes.
 *
 * Passes change it in place: they add nodes, rewire what reads a tensor, and leave what nobody reads any more to
 * `tidy`. Messages are ONNX' own; large constants may lie in files (`external`), relative to `folder`.
 */
export class Graph {
  readonly inputs: ValueInfoProto[]
  readonly outputs: ValueInfoProto[]
  nodes: NodeProto[]
  readonly constants: Map<string, TensorProto>
  readonly shapes: Map<string, TensorShape>
  /** Where external data lies. */
  folder: string
  readonly #opsets: Map<string, bigint>
  readonly #taken = new Set<string>()
  readonly #floats = new Map<string, Float32Array>()
  #index: { producer: Map<string, NodeProto>; users: Map<string, NodeProto[]> } | undefined

  constructor(parts: {
    inputs: ValueInfoProto[]
    outputs: ValueInfoProto[]
    nodes: NodeProto[]
    constants: Iterable<TensorProto>
    shapes?: Map<string, TensorShape>
    folder: string
    opsets: Map<string, bigint>
  }) {
    this.inputs = parts.inputs
    this.outputs = parts.outputs
    this.nodes = parts.nodes
    this.constants = new Map([...parts.constants].map((tensor) => [tensor.name, tensor]))
    this.shapes = parts.shapes ?? new Map()
    this.folder = parts.folder
    this.#opsets = parts.opsets
    for (const name of [...this.constants.keys(), ...this.inputs.map(({ name }) => name)]) this.#taken.add(name)
    for (const { output } of this.nodes) for (const name of output) this.#taken.add(name)
  }

  /**
   * The graph of an ONNX model. Throws UNSUPPORTED_GRAPH for what passes can't hold: functions, sparse constants, and
   * graphs within nodes (If, Loop, Scan), which read tensors that no input of the node names.
   */
  static from(model: ModelProto, folder: string): Graph {
    const { graph } = model
    if (graph === undefined) throw new ModelError('INVALID_BUNDLE', 'an ONNX model without a graph')
    if (model.functions.length > 0 || graph.sparseInitializer.length > 0)
      throw new ModelError('UNSUPPORTED_GRAPH', 'functions and sparse constants are not compiled')
    const nested = graph.node.find((node) =>
      node.attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0),
    )
    if (nested) throw new ModelError('UNSUPPORTED_GRAPH', `${nested.opType} ${nested.name} holds a graph of its own`)
    const constants = new Set(graph.initializer.map(({ name }) => name))
    return new Graph({
      // Before IR version 4 constants were listed as inputs too.
      inputs: graph.input.filter(({ name }) => !constants.has(name)),
      outputs: graph.output,
      nodes: [...graph.node],
      constants: graph.initializer,
      folder,
      opsets: new Map(model.opsetImport.map(({ domain, version }) => [domain, version])),
    })
  }

  static parse(bytes: Uint8Array, folder: string): Graph {
    return Graph.from(fromBinary(ModelProtoSchema, bytes), folder)
  }

  /** A copy that shares constants' data alone. */
  copy(): Graph {
    return new Graph({
      inputs: [...this.inputs],
      outputs: [...this.outputs],
      nodes: this.nodes.map((node) => clone(NodeProtoSchema, node)),
      constants: this.constants.values(),
      shapes: new Map(this.shapes),
      folder: this.folder,
      opsets: new Map(this.#opsets),
    })
  }

  get opset(): number {
    return Number(this.#opsets.get('') ?? this.#opsets.get('ai.onnx') ?? 0n)
  }

  toModel(): ModelProto {
    this.tidy()
    // ONNX Runtime takes no name twice, and an output that passes rename leaves its node's name behind.
    const names = new Set<string>()
    for (const node of this.nodes) {
      if (names.has(node.name)) node.name = ''
      else names.add(node.name)
    }
    const domains = new Set(this.nodes.map(({ domain }) => domain))
    if (domains.has(microsoft)) this.#opsets.set(microsoft, 1n)
    return create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: 'multigate',
      opsetImport: [...this.#opsets].map(([domain, version]) => ({ domain, version })),
      graph: create(GraphProtoSchema, {
        name: 'multigate',
        node: this.nodes,
        initializer: [...this.constants.values()],
        input: this.inputs,
        output: this.outputs,
      }),
    })
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    return toBinary(ModelProtoSchema, this.toModel())
  }

  fresh(wanted: string): string {
    let name = wanted
    for (let n = 1; this.#taken.has(name); n++) name = `${wanted}:${n}`
    this.#taken.add(name)
    return name
  }

  /** Appends a node. Answers its outputs' names. */
  nodeOf(opType: string, input: string[], count: number, options: NodeOptions = {}): string[] {
    const output = options.outputs ?? Array.from({ length: count }, () => this.fresh(`${opType.toLowerCase()}`))
    for (const name of output) this.#taken.add(name)
    const attribute = Object.entries(options.attributes ?? {}).map(([name, value]) => attributeOf(name, value))
    const node = create(NodeProtoSchema, { opType, input, output, attribute, domain: options.domain ?? '' })
    node.name = output[0]!
    this.nodes.push(node)
    options.shapes?.forEach((shape, i) => {
      this.shapes.set(output[i]!, shape)
    })
    this.#index = undefined
    return output
  }

  /** Appends a node with one output; answers its name. */
  node(opType: string, input: string[], options: NodeOptions & { shape?: TensorShape } = {}): string {
    const { shape, ...rest } = options
    return this.nodeOf(opType, input, 1, shape ? { ...rest, shapes: [shape] } : rest)[0]!
  }

  /** A constant of its own, named like `wanted`; `data` is not copied. */
  constant(
    wanted: string,
    data: Float32Array | Int32Array | BigInt64Array | Int8Array | Uint8Array,
    dims: number[],
  ): string {
    const name = this.fresh(wanted)
    const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
    const tensor = { name, dataType: dataTypeOf(data), dims: dims.map(BigInt), rawData }
    this.constants.set(name, create(TensorProtoSchema, tensor))
    return name
  }

  integers(values: readonly number[]): string {
    return this.constant(`integers:${values.join(',')}`, BigInt64Array.from(values, BigInt), [values.length])
  }

  /** Values of a float32 constant; undefined for anything else, and for what lies in a file. */
  floats(name: string): Float32Array | undefined {
    const known = this.#floats.get(name)
    if (known) return known
    const tensor = this.constants.get(name)
    if (tensor?.dataType !== DataType.FLOAT || isExternal(tensor)) return undefined
    const values = tensor.floatData.length > 0 ? Float32Array.from(tensor.floatData) : floatsOf(tensor.rawData)
    this.#floats.set(name, values)
    return values
  }

  /** Values of a small integer constant of any width; undefined for anything else. */
  integersOf(name: string): number[] | undefined {
    const tensor = this.constants.get(name)
    if (tensor === undefined || isExternal(tensor)) return undefined
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

  /** Dimensions of a constant. */
  dimsOf(name: string): number[] | undefined {
    return this.constants.get(name)?.dims.map(Number)
  }

  producer(name: string): NodeProto | undefined {
    return this.#indexed().producer.get(name)
  }

  /** Nodes that read a tensor, each once. */
  users(name: string): NodeProto[] {
    return this.#indexed().users.get(name) ?? []
  }

  isOutput(name: string): boolean {
    return this.outputs.some((output) => output.name === name)
  }

  /** Whether nobody but `user` reads a tensor. */
  isPrivate(name: string, user: NodeProto): boolean {
    const users = this.users(name)
    return !this.isOutput(name) && users.length === 1 && users[0] === user
  }

  /** Makes all that read `old` read `replacement`; an output of the graph keeps its name. */
  replace(old: string, replacement: string): void {
    if (this.isOutput(old)) {
      const { producer } = this.#indexed()
      const former = producer.get(old)
      if (former) former.output = former.output.map((name) => (name === old ? this.fresh(`${old}:former`) : name))
      const node = producer.get(replacement)
      if (node === undefined || this.isOutput(replacement)) {
        this.node('Identity', [replacement], { outputs: [old] })
        return
      }
      node.output = node.output.map((name) => (name === replacement ? old : name))
      for (const user of this.nodes) user.input = user.input.map((name) => (name === replacement ? old : name))
      const shape = this.shapes.get(replacement)
      if (shape) this.shapes.set(old, shape)
    } else {
      for (const user of this.users(old)) user.input = user.input.map((name) => (name === old ? replacement : name))
    }
    this.#index = undefined
  }

  /** Says that nodes were changed from outside. */
  touch(): void {
    this.#index = undefined
  }

  /** Drops what no output needs, and puts nodes in an order that can be computed. Throws where there is none. */
  tidy(): void {
    const { producer } = this.#indexed()
    const ordered: NodeProto[] = []
    const state = new Map<NodeProto, 'open' | 'done'>()
    // Not recursive: graphs may be deep.
    const stack: { node: NodeProto; next: number }[] = []
    const enter = (name: string) => {
      const node = producer.get(name)
      if (node === undefined || state.get(node) === 'done') return
      if (state.get(node) === 'open') throw new ModelError('INVALID_BUNDLE', `the node ${node.name} depends on itself`)
      state.set(node, 'open')
      stack.push({ node, next: 0 })
    }
    for (const { name } of this.outputs) {
      enter(name)
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        if (top.next < top.node.input.length) enter(top.node.input[top.next++]!)
        else {
          stack.pop()
          state.set(top.node, 'done')
          ordered.push(top.node)
        }
      }
    }
    this.nodes = ordered
    const read = new Set(ordered.flatMap(({ input }) => input))
    for (const name of [...this.constants.keys()])
      if (!read.has(name) && !this.isOutput(name)) {
        this.constants.delete(name)
        this.#floats.delete(name)
      }
    this.#index = undefined
  }

  #indexed() {
    if (this.#index) return this.#index
    const producer = new Map<string, NodeProto>()
    const users = new Map<string, NodeProto[]>()
    for (const node of this.nodes) {
      for (const name of node.output) producer.set(name, node)
      for (const name of new Set(node.input)) {
        const list = users.get(name)
        if (list) list.push(node)
        else users.set(name, [node])
      }
    }
    this.#index = { producer, users }
    return this.#index
  }
}

export function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === DataLocation.EXTERNAL
}

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

/** A declaration of an input or output; a negative side is free, −1 so many as `count` says. */
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

export const floatShape = (...dims: number[]): TensorShape => ({ dtype: DataType.FLOAT, dims })

function attributeOf(name: string, value: AttributeValue): MessageInitShape<typeof AttributeProtoSchema> {
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: BigInt(value) }
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) }
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value.map(BigInt) }
  return { name, type: AttributeType.FLOAT, f: value.float }
}

function dataTypeOf(data: Float32Array | Int32Array | BigInt64Array | Int8Array | Uint8Array): number {
  if (data instanceof Float32Array) return DataType.FLOAT
  if (data instanceof Int32Array) return DataType.INT32
  if (data instanceof BigInt64Array) return DataType.INT64
  return data instanceof Int8Array ? DataType.INT8 : DataType.UINT8
}

/** Little-endian bytes as floats, copied only where they aren't aligned. */
function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  return new Float32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / 4)
}

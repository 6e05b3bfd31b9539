import { clone, create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ModelError } from '../../../base/errors.ts'
import { type AttributeValue, attributeOf } from './attributes.ts'
import { checkGraphBounds } from './bounds.ts'
import { type ConstantData, constantOf, floatsOf, integersOf } from './constants.ts'
import { checkDefinitions, NodeIndex } from './node-index.ts'
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from './onnx_pb.ts'
import type { TensorShape } from './tensor-shape.ts'

export interface NodeOptions {
  attributes?: Record<string, AttributeValue>
  domain?: string
  /** Shapes of the outputs, where later passes need them. */
  shapes?: TensorShape[]
  /** Names of the outputs; default: new names. */
  outputs?: string[]
}

/** Nodes that a pass left unchanged, with reasons. */
export type Left = Map<NodeProto, string>

/** The custom operators of ONNX Runtime. */
export const microsoft = 'com.microsoft'

/**
 * An ONNX graph to be rewritten: nodes, constants and known shapes.
 *
 * Passes change it in place: they add nodes, rewire the users of a tensor, and leave unused nodes to `tidy`. Nodes and
 * constants are ONNX' own messages; large constants may be in files (`external`), relative to `folder`.
 */
export class Graph {
  readonly inputs: ValueInfoProto[]
  readonly outputs: ValueInfoProto[]
  nodes: NodeProto[]
  readonly constants: Map<string, TensorProto>
  readonly shapes: Map<string, TensorShape>
  /**
   * Constants whose values may change while the graph is served: no pass may compute others from them, so `floats` has
   * none of them.
   */
  readonly variables = new Set<string>()
  /** Folder of external data. */
  folder: string
  /** Whether weights that the graph's file keeps in other files were read into memory. */
  isResolved = false
  readonly #opsets: Map<string, bigint>
  readonly #taken = new Set<string>()
  /** By wanted name: the next suffix to try for it. */
  readonly #next = new Map<string, number>()
  readonly #floats = new Map<string, Float32Array>()
  #index: NodeIndex | undefined

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

  /** A graph to be written, of the operator set that ONNX Runtime has read since 1.13. */
  static create(inputs: ValueInfoProto[], folder = '.'): Graph {
    return new Graph({ inputs, outputs: [], nodes: [], constants: [], folder, opsets: new Map([['', 17n]]) })
  }

  /**
   * The graph of an ONNX model. Throws UNSUPPORTED_GRAPH for functions, sparse constants, and nodes with subgraphs (If,
   * Loop, Scan), which read tensors that are not inputs of the node; INVALID_BUNDLE where a tensor is defined twice.
   */
  static from(model: ModelProto, folder: string): Graph {
    const { graph } = model
    if (graph === undefined) throw new ModelError('INVALID_BUNDLE', 'the ONNX model has no graph')
    if (model.functions.length > 0 || graph.sparseInitializer.length > 0)
      throw new ModelError('UNSUPPORTED_GRAPH', 'functions and sparse constants are not compiled')
    const nested = graph.node.find((node) =>
      node.attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0),
    )
    if (nested) throw new ModelError('UNSUPPORTED_GRAPH', `${nested.opType} ${nested.name} contains a subgraph`)
    checkDefinitions(graph)
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
    checkGraphBounds(bytes)
    return Graph.from(fromBinary(ModelProtoSchema, bytes), folder)
  }

  /** A copy that shares only the data of constants. */
  copy(): Graph {
    const copy = new Graph({
      inputs: [...this.inputs],
      outputs: [...this.outputs],
      nodes: this.nodes.map((node) => clone(NodeProtoSchema, node)),
      constants: this.constants.values(),
      shapes: new Map(this.shapes),
      folder: this.folder,
      opsets: new Map(this.#opsets),
    })
    for (const name of this.variables) copy.variables.add(name)
    return copy
  }

  get opset(): number {
    return Number(this.#opsets.get('') ?? this.#opsets.get('ai.onnx') ?? 0n)
  }

  toModel(): ModelProto {
    this.tidy()
    // ONNX Runtime requires unique names; a pass that renames an output leaves the node's name unchanged.
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
    let n = this.#next.get(wanted) ?? 1
    while (this.#taken.has(name)) name = `${wanted}:${n++}`
    this.#next.set(wanted, n)
    this.#taken.add(name)
    return name
  }

  /** Appends a node; returns the names of its outputs. */
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

  /** Appends a node with one output; returns its name. */
  node(opType: string, input: string[], options: NodeOptions & { shape?: TensorShape } = {}): string {
    const { shape, ...rest } = options
    return this.nodeOf(opType, input, 1, shape ? { ...rest, shapes: [shape] } : rest)[0]!
  }

  /** Adds a constant named like `wanted`; `data` is not copied. Returns its name. */
  constant(wanted: string, data: ConstantData, dims: number[]): string {
    const name = this.fresh(wanted)
    this.constants.set(name, constantOf(name, data, dims))
    return name
  }

  integers(values: readonly number[]): string {
    return this.constant(`integers:${values.join(',')}`, BigInt64Array.from(values, BigInt), [values.length])
  }

  /** Values of a float32 constant; undefined for anything else, for external data, and for `variables`. */
  floats(name: string): Float32Array | undefined {
    if (this.variables.has(name)) return undefined
    const cached = this.#floats.get(name)
    if (cached) return cached
    const tensor = this.constants.get(name)
    const values = tensor && floatsOf(tensor)
    if (values) this.#floats.set(name, values)
    return values
  }

  /** Values of a small int32 or int64 constant; undefined for anything else. */
  integersOf(name: string): number[] | undefined {
    const tensor = this.constants.get(name)
    return tensor && integersOf(tensor)
  }

  /** Dimensions of a constant. */
  dimsOf(name: string): number[] | undefined {
    return this.constants.get(name)?.dims.map(Number)
  }

  producer(name: string): NodeProto | undefined {
    return this.#indexed().producer(name)
  }

  /** Nodes that read a tensor, each once. */
  users(name: string): NodeProto[] {
    return this.#indexed().users(name)
  }

  isOutput(name: string): boolean {
    return this.outputs.some((output) => output.name === name)
  }

  /** Whether only `user` reads a tensor. */
  isPrivate(name: string, user: NodeProto): boolean {
    const users = this.users(name)
    return !this.isOutput(name) && users.length === 1 && users[0] === user
  }

  /** Replaces `old` by `replacement` in all users; an output of the graph keeps its name. */
  replace(old: string, replacement: string): void {
    if (this.isOutput(old)) {
      const index = this.#indexed()
      const former = index.producer(old)
      if (former) former.output = former.output.map((name) => (name === old ? this.fresh(`${old}:former`) : name))
      const node = index.producer(replacement)
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

  /** Removes a node, and replaces its output by another tensor. */
  bypass(node: NodeProto, replacement: string): void {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    this.#index = undefined
    this.replace(node.output[0]!, replacement)
  }

  /** Must be called after nodes were changed from outside. */
  touch(): void {
    this.#index = undefined
  }

  /** Drops nodes and constants that no output needs, and sorts nodes in an order of computation. Throws for a cycle. */
  tidy(): void {
    this.nodes = this.#indexed().inOrder(this.outputs.map(({ name }) => name))
    const read = new Set(this.nodes.flatMap(({ input }) => input))
    for (const name of [...this.constants.keys()])
      if (!read.has(name) && !this.isOutput(name)) {
        this.constants.delete(name)
        this.#floats.delete(name)
      }
    this.#index = undefined
  }

  #indexed(): NodeIndex {
    this.#index ??= new NodeIndex(this.nodes)
    return this.#index
  }
}

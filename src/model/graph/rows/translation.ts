import { product } from '../../../base/arrays.ts'
import { isExternal } from '../ir/constants.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from './errors.ts'
import { FusedRelus } from './fused-relus.ts'
import type { Each, Program } from './program.ts'
import type { Tables } from './tables.ts'
import { type Part, sizes, type Tensor } from './tensor.ts'

/** Adds the steps of a node to a program. Throws NotTranslated. */
export type Translator<T extends Translation = Translation> = (translation: T, node: NodeProto) => void

export interface TranslationParts {
  graph: Graph
  program: Program
  tables: Tables
  /** The input that holds the request of each row; undefined where all rows are of one. */
  requests?: string | undefined
}

/** The state of a translation: a program as far as it has come, and the tensors that it computes. */
export class Translation {
  readonly graph: Graph
  readonly program: Program
  readonly tables: Tables
  readonly relus: FusedRelus
  readonly #requests: string | undefined
  readonly #tensors = new Map<string, Tensor>()
  readonly #copied = new Set<number>()
  readonly #whole = new Map<Tensor, Tensor>()
  readonly #done = new Set<NodeProto>()
  readonly #fixed = new Map<Float32Array, number>()

  constructor({ graph, program, tables, requests }: TranslationParts) {
    this.graph = graph
    this.program = program
    this.tables = tables
    this.relus = new FusedRelus(graph)
    this.#requests = requests
  }

  tensor(name: string): Tensor {
    const found = this.flatOrNot(name)
    if (found.flat) throw new NotTranslated(`rows and columns of ${name} are one dimension`)
    return found
  }

  /** A tensor whose rows and columns may be one dimension. */
  flatOrNot(name: string): Tensor {
    const found = this.#tensors.get(name)
    if (found === undefined) throw new NotTranslated(`${name} is the same for all rows`)
    return found
  }

  set(name: string, tensor: Tensor): void {
    this.#tensors.set(name, tensor)
  }

  /** Notes that a node is computed with another: it is left out. */
  finish(node: NodeProto): void {
    this.#done.add(node)
  }

  isDone(node: NodeProto): boolean {
    return this.#done.has(node)
  }

  isRequests(name: string): boolean {
    return name === this.#requests
  }

  isConstant(name: string): boolean {
    return this.graph.constants.has(name)
  }

  constant(name: string): { dims: number[]; values: Float32Array } {
    const values = this.graph.floats(name)
    const dims = this.graph.dimsOf(name)
    if (values === undefined || dims === undefined)
      throw new NotTranslated(`${name} is no float32 constant in the graph`)
    return { dims, values }
  }

  /** A constant of bytes in the graph. */
  bytes(name: string): { dims: number[]; values: Uint8Array } {
    const tensor = this.graph.constants.get(name)
    const isBytes = tensor?.dataType === DataType.INT8 || tensor?.dataType === DataType.UINT8
    if (!isBytes || isExternal(tensor!)) throw new NotTranslated(`${name} is no constant of bytes in the graph`)
    return { dims: tensor!.dims.map(Number), values: tensor!.rawData }
  }

  integers(name: string): number[] {
    const values = this.graph.integersOf(name)
    if (values === undefined) throw new NotTranslated(`${name} is no constant of integers`)
    return values
  }

  /** A buffer of these numbers, one for each array. */
  fixed(values: Float32Array): number {
    let buffer = this.#fixed.get(values)
    if (buffer === undefined) {
      buffer = this.program.fixed(values)
      this.#fixed.set(values, buffer)
    }
    return buffer
  }

  /** A tensor with a buffer of its own. */
  result<Kind extends Tensor['kind']>(
    each: Each,
    dims: readonly number[],
    kind: Kind,
    stride = product(dims),
  ): Tensor & { kind: Kind } {
    const buffer = this.program.buffer(stride * sizes[kind])
    return { each, dims, kind, parts: [{ buffer, offset: 0, stride, width: product(dims) }] }
  }

  /** A node's output, in a buffer of its own; its part. */
  answer({ output }: NodeProto, each: Each, dims: readonly number[], kind: Tensor['kind'], flat = false): Part {
    const to = this.result(each, dims, kind)
    this.set(output[0]!, { ...to, ...(flat && { flat }) })
    return to.parts[0]!
  }

  /** The tensor with all its values in one part, which steps read by numbers. */
  whole(tensor: Tensor): Tensor & { part: Part } {
    if (tensor.kind === 'bfloat16') throw new NotTranslated('a hidden layer is read by more than products')
    const { input, ...copied } = tensor
    if (input !== undefined) this.copyInput(tensor, input)
    if (tensor.parts.length === 1) return { ...copied, part: tensor.parts[0]! }
    let whole = this.#whole.get(tensor)
    if (whole === undefined) {
      whole = { ...this.result(tensor.each, tensor.dims, tensor.kind), ...(tensor.flat && { flat: true }) }
      this.#whole.set(tensor, whole)
      const [to] = whole.parts as [Part]
      if (tensor.ofRequest) this.#spread(this.whole(tensor.ofRequest).part, to, sizes[tensor.kind])
      else this.join(tensor, to)
    }
    return { ...whole, part: whole.parts[0]! }
  }

  floats(name: string, { opType }: NodeProto): Tensor & { part: Part } {
    const whole = this.whole(this.tensor(name))
    if (whole.kind !== 'float32') throw new NotTranslated(`${opType} of integers`)
    return whole
  }

  /** Adds a step, once: copies an input to the first part of its tensor. */
  protected copyInput({ each, parts, kind }: Tensor, input: number): void {
    if (this.#copied.has(input)) return
    this.#copied.add(input)
    const { buffer, width } = parts[0]!
    this.program.step(({ at, floats, integers, bytes }) => {
      const target = kind === 'float32' ? floats : integers
      const start = at[buffer]! / 4
      return (call) => {
        const { data: values } = call.feeds[input]!
        if (kind === 'uint8') bytes.set(values as Uint8Array, at[buffer]!)
        else if (!(values instanceof BigInt64Array)) target.set(values, start)
        else for (let i = 0; i < call[each] * width; i++) target[start + i] = Number(values[i]!)
      }
    })
  }

  /** Copies, for each row, that of its request. */
  #spread(from: Part, to: Part, size: number): void {
    const bytes = from.width * size
    this.program.step(({ at, copy }) => {
      const [source, target] = [at[from.buffer]! + from.offset * size, at[to.buffer]! + to.offset * size]
      return ({ requests, starts }) => {
        for (let request = 0; request < requests; request++) {
          const first = starts[request]!
          const begin = source + request * from.stride * size
          copy(starts[request + 1]! - first, begin, 0, target + first * to.stride * size, to.stride * size, bytes)
        }
      }
    })
  }

  /** Adds steps: copies the parts of a tensor side by side. */
  protected join({ each, parts, kind }: Tensor, to: Part): void {
    const size = sizes[kind]
    let column = to.offset
    for (const from of parts) {
      this.copyColumns(each, from, { ...to, offset: column, width: from.width }, size)
      column += from.width
    }
  }

  /** Adds a step: copies columns of each row, of `size` bytes each. */
  copyColumns(each: Each, from: Part, to: Part, size: number): void {
    this.program.step(({ at, copy }) => {
      const [source, target] = [at[from.buffer]! + from.offset * size, at[to.buffer]! + to.offset * size]
      return (call) => copy(call[each], source, from.stride * size, target, to.stride * size, from.width * size)
    })
  }
}

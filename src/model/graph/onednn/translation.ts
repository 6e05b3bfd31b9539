import { product } from '../../../base/arrays.ts'
import { isExternal } from '../ir/constants.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { sizes } from './binding.ts'
import { NotTranslated } from './errors.ts'
import { Fusion } from './fusion.ts'
import { JoinedRequests } from './joined-requests.ts'
import type { Library } from './library.ts'
import type { Place } from './primitives.ts'
import type { Call, Each, Program } from './program.ts'
import type { Tables } from './tables.ts'
import type { Operand, Part, Tensor } from './tensor.ts'
import type { Tiling } from './tiling.ts'

export type Translator = (translation: Translation, node: NodeProto) => void

/** The state of a translation: a program as far as it has come, and the tensors that it computes. */
export class Translation {
  readonly graph: Graph
  readonly program: Program
  readonly library: Library
  readonly tables: Tables
  readonly fusion: Fusion
  readonly tiling: Tiling
  readonly #requests: string
  readonly #tensors = new Map<string, Tensor>()
  readonly #operands = new Map<Tensor, Operand>()
  readonly #joined = new Map<number, JoinedRequests>()
  readonly #copied = new Set<number>()
  readonly #whole = new Map<Tensor, Tensor>()

  /**
   * `requests`: the input that holds the request of each row; `rounds`: whether products of floats are computed in
   * bfloat16.
   */
  constructor(
    { graph, requests, rounds, tiling }: { graph: Graph; requests: string; rounds: boolean; tiling: Tiling },
    program: Program,
    library: Library,
    tables: Tables,
  ) {
    this.graph = graph
    this.#requests = requests
    this.tiling = tiling
    this.fusion = new Fusion(graph, rounds, tiling)
    this.program = program
    this.library = library
    this.tables = tables
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

  /** The tensor with all its values in one part, which steps read by numbers. */
  whole(tensor: Tensor): Tensor & { part: Part } {
    if (tensor.kind === 'bfloat16') throw new NotTranslated('a hidden layer is read by more than products')
    const { input, ...copied } = tensor
    if (input !== undefined) this.#copyInput(tensor, input)
    if (tensor.parts.length === 1) return { ...copied, part: tensor.parts[0]! }
    let whole = this.#whole.get(tensor)
    if (whole === undefined) {
      whole = { ...this.result(tensor.each, tensor.dims, tensor.kind), ...(tensor.flat && { flat: true }) }
      this.#whole.set(tensor, whole)
      const [to] = whole.parts as [Part]
      if (tensor.ofRequest) this.#spread(this.whole(tensor.ofRequest).part, to, sizes[tensor.kind])
      else this.#join(tensor, to)
    }
    return { ...whole, part: whole.parts[0]! }
  }

  floats(name: string, { opType }: NodeProto): Tensor & { part: Part } {
    const whole = this.whole(this.tensor(name))
    if (whole.kind !== 'float32') throw new NotTranslated(`${opType} of integers`)
    return whole
  }

  #copyInput({ each, parts, kind }: Tensor, input: number): void {
    if (this.#copied.has(input)) return
    this.#copied.add(input)
    const { buffer, width } = parts[0]!
    this.program.steps.push(({ at, floats, integers, bytes }, call) => {
      const { data: values } = call.feeds[input]!
      if (kind === 'uint8') {
        bytes.set(values as Uint8Array, at[buffer]!)
        return
      }
      const target = kind === 'float32' ? floats : integers
      const start = at[buffer]! / 4
      if (!(values instanceof BigInt64Array)) target.set(values, start)
      else for (let i = 0; i < call[each] * width; i++) target[start + i] = Number(values[i]!)
    })
  }

  /** Copies, for each row, that of its request. */
  #spread(from: Part, to: Part, size: number): void {
    const bytes = from.width * size
    this.program.steps.push(({ at, copy }, { requests, starts }) => {
      const [source, target] = [at[from.buffer]! + from.offset * size, at[to.buffer]! + to.offset * size]
      for (let request = 0; request < requests; request++) {
        const first = starts[request]!
        const begin = source + request * from.stride * size
        copy(starts[request + 1]! - first, begin, 0, target + first * to.stride * size, to.stride * size, bytes)
      }
    })
  }

  #join({ each, parts, kind }: Tensor, to: Part): void {
    const size = sizes[kind]
    let column = to.offset
    for (const { buffer, offset, stride, width } of parts) {
      const first = column
      this.program.steps.push(({ at, copy }, call) => {
        const [from, target] = [at[buffer]! + offset * size, at[to.buffer]! + first * size]
        copy(call[each], from, stride * size, target, to.stride * size, width * size)
      })
      column += width
    }
  }

  /** The tensor as products read it; in `format`, where it isn't computed in bfloat16. */
  operand(tensor: Tensor, format: 'float32' | 'bfloat16'): Operand {
    if (tensor.kind !== 'float32' && tensor.kind !== 'bfloat16')
      throw new NotTranslated(`a product of ${tensor.kind} and floats`)
    const [part] = tensor.parts
    if (tensor.kind === 'bfloat16') {
      const { buffer, stride } = part!
      return {
        format: 'bfloat16',
        buffer,
        offset: 0,
        stride,
        columns: stride,
        ...(tensor.input !== undefined && { input: tensor.input }),
      }
    }
    if (format === 'float32') {
      const { buffer, offset, stride, width } = this.whole(tensor).part
      return { format, buffer, offset, stride, columns: width }
    }
    let operand = this.#operands.get(tensor)
    if (operand === undefined) {
      const stride = this.tiling.padded(product(tensor.dims))
      operand = { format, buffer: this.program.buffer(stride * 2), offset: 0, stride, columns: stride }
      this.#operands.set(tensor, operand)
      const source = tensor.ofRequest ? this.whole(tensor) : tensor
      let column = 0
      for (const part of source.parts) {
        this.#round(source, part, operand, column)
        column += part.width
      }
    }
    return operand
  }

  /** The requests of a call, as an operand names them, in its columns from `k` on. */
  joinedRequests(operand: Operand, k: number): JoinedRequests {
    let joined = this.#joined.get(operand.buffer)
    if (joined === undefined) {
      const made = new JoinedRequests(operand, k, this.tiling)
      joined = made
      this.#joined.set(operand.buffer, made)
      this.program.steps.push((frame, call) => made.mark(frame, call))
    }
    return joined
  }

  /** A tensor of bytes as products read it. */
  byteOperand(tensor: Tensor): Operand {
    if (tensor.kind !== 'uint8') throw new NotTranslated('a product of floats and int8')
    const columns = this.tiling.padded(product(tensor.dims))
    const { input, parts, ofRequest } = tensor
    const [part] = parts
    if (parts.length === 1 && part!.stride === this.tiling.padded(part!.stride)) {
      const { buffer, offset, stride } = part!
      return { format: 'uint8', buffer, offset, stride, columns, ...(input !== undefined && { input }) }
    }
    let operand = this.#operands.get(tensor)
    if (operand === undefined) {
      operand = { format: 'uint8', buffer: this.program.buffer(columns), offset: 0, stride: columns, columns }
      this.#operands.set(tensor, operand)
      const copied = ofRequest || input !== undefined ? this.whole(tensor) : tensor
      this.#join(copied, { ...operand, width: product(tensor.dims) })
    }
    return operand
  }

  /** Rounds a part to bfloat16, into columns of an operand. */
  #round(tensor: Tensor, part: Part, operand: Operand, column: number): void {
    const { each, input } = tensor
    if (input !== undefined) this.#copyInput(tensor, input)
    const conversions = this.tiling.rowClasses.map((rows) =>
      this.library.conversion(
        { rows, columns: part.width, format: 'float32', stride: part.stride },
        { rows, columns: part.width, format: 'bfloat16', stride: operand.stride },
      ),
    )
    this.program.keep(conversions)
    this.program.steps.push(({ region, at }, call) =>
      this.tiling.inChunks(0, call[each], (row, index) =>
        conversions[index]!.run(
          { region, at: at[part.buffer]! + (part.offset + row * part.stride) * 4 },
          { region, at: at[operand.buffer]! + (row * operand.stride + column) * 2 },
        ),
      ),
    )
  }

  /** Where an input lies. */
  placeOf({ feeds }: Call, input: number): Place {
    const { buffer, byteOffset } = feeds[input]!.data
    return { region: this.library.region(buffer as ArrayBuffer), at: byteOffset }
  }
}

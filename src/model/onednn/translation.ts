import { product } from '../base/dims.ts'
import type { Graph } from '../graph/graph.ts'
import type { NodeProto } from '../graph/onnx_pb.ts'
import type { Format } from './binding.ts'
import type { Library, Place, Product, Weights } from './library.ts'
import { NotTranslated } from './not-translated.ts'
import { type Call, type Each, type Frame, inChunks, type Program, rowClasses } from './program.ts'
import type { Tables } from './tables.ts'
import { mostExact, type Operand, type Part, padded, type Tensor } from './tensor.ts'

export type Translator = (translation: Translation, node: NodeProto) => void

/** The state of a translation: a program as far as it has come, and the tensors that it computes. */
export class Translation {
  readonly graph: Graph
  readonly program: Program
  readonly library: Library
  readonly tables: Tables
  readonly #requests: string
  readonly #tensors = new Map<string, Tensor>()
  readonly #operands = new Map<Tensor, Operand>()
  readonly #copied = new Set<string>()
  readonly #whole = new Map<Tensor, Tensor>()
  readonly #clipped = new Set<NodeProto>()

  /** `requests`: the input that holds the request of each row. */
  constructor(graph: Graph, program: Program, library: Library, tables: Tables, requests: string) {
    this.graph = graph
    this.#requests = requests
    this.program = program
    this.library = library
    this.tables = tables
  }

  tensor(name: string): Tensor {
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

  integers(name: string): number[] {
    const values = this.graph.integersOf(name)
    if (values === undefined) throw new NotTranslated(`${name} is no constant of integers`)
    return values
  }

  /** A tensor with a buffer of its own. */
  result(each: Each, dims: readonly number[], kind: Tensor['kind'], stride = product(dims)): Tensor {
    const bytes = kind === 'bfloat16' ? 2 : 4
    const buffer = this.program.buffer(stride * bytes)
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
      whole = this.result(tensor.each, tensor.dims, tensor.kind)
      this.#whole.set(tensor, whole)
      const [to] = whole.parts as [Part]
      if (tensor.ofRequest) this.#spread(this.whole(tensor.ofRequest).part, to)
      else this.#join(tensor, to)
    }
    return { ...whole, part: whole.parts[0]! }
  }

  floats(name: string, { opType }: NodeProto): Tensor & { part: Part } {
    const whole = this.whole(this.tensor(name))
    if (whole.kind !== 'float32') throw new NotTranslated(`${opType} of integers`)
    return whole
  }

  #copyInput({ each, parts, kind }: Tensor, input: string): void {
    if (this.#copied.has(input)) return
    this.#copied.add(input)
    const { buffer, width } = parts[0]!
    this.program.steps.push(({ at, floats, integers }, call) => {
      const values = call.feeds[input]!
      const target = kind === 'float32' ? floats : integers
      const start = at[buffer]! / 4
      if (!(values instanceof BigInt64Array)) target.set(values, start)
      else for (let i = 0; i < call[each] * width; i++) target[start + i] = Number(values[i]!)
    })
  }

  /** Copies, for each row, that of its request. */
  #spread(from: Part, to: Part): void {
    this.program.steps.push(({ at, integers }, { requests, starts }) => {
      const [source, target] = [at[from.buffer]! / 4 + from.offset, at[to.buffer]! / 4 + to.offset]
      for (let request = 0; request < requests; request++) {
        const begin = source + request * from.stride
        for (let row = starts[request]!; row < starts[request + 1]!; row++)
          integers.copyWithin(target + row * to.stride, begin, begin + from.width)
      }
    })
  }

  #join({ each, parts }: Tensor, to: Part): void {
    let column = 0
    for (const { buffer, offset, stride, width } of parts) {
      const first = to.offset + column
      this.program.steps.push(({ at, integers }, call) => {
        let source = at[buffer]! / 4 + offset
        let target = at[to.buffer]! / 4 + first
        for (let row = 0; row < call[each]; row++, source += stride, target += to.stride)
          for (let i = 0; i < width; i++) integers[target + i] = integers[source + i]!
      })
      column += width
    }
  }

  /** The tensor as products read it; in `format`, where it isn't computed in bfloat16. */
  operand(tensor: Tensor, format: Format): Operand {
    if (tensor.kind === 'int32') throw new NotTranslated('a product of integers')
    const [part] = tensor.parts
    if (tensor.kind === 'bfloat16') {
      const { buffer, stride } = part!
      return {
        format: 'bfloat16',
        buffer,
        offset: 0,
        stride,
        columns: stride,
        ...(tensor.input && { input: tensor.input }),
      }
    }
    if (format === 'float32') {
      const { buffer, offset, stride, width } = this.whole(tensor).part
      return { format, buffer, offset, stride, columns: width }
    }
    let operand = this.#operands.get(tensor)
    if (operand === undefined) {
      const stride = padded(product(tensor.dims))
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

  /** Rounds a part to bfloat16, into columns of an operand. */
  #round(tensor: Tensor, part: Part, operand: Operand, column: number): void {
    const { each, input } = tensor
    const conversions = rowClasses.map((rows) =>
      this.library.conversion(
        { rows, columns: part.width, format: 'float32', stride: part.stride },
        { rows, columns: part.width, format: 'bfloat16', stride: operand.stride },
      ),
    )
    const round = (frame: Frame, call: Call, from: Place) =>
      inChunks(0, call[each], (row, index) =>
        conversions[index]!.run(
          { region: from.region, at: from.at + (part.offset + row * part.stride) * 4 },
          { region: frame.region, at: frame.at[operand.buffer]! + (row * operand.stride + column) * 2 },
        ),
      )
    if (input === undefined) {
      this.program.steps.push((frame, call) => round(frame, call, { region: frame.region, at: frame.at[part.buffer]! }))
      return
    }
    // An input is read where it lies, if there is enough memory behind it for the last chunk.
    this.program.steps.push((frame, call) => {
      const place = this.placeOf(call, input)
      const values = call.feeds[input] as Float32Array
      const behind = place.region.bytes - place.at - values.byteLength
      if (behind >= 32 * part.stride * 4) round(frame, call, place)
      else {
        frame.floats.set(values, frame.at[part.buffer]! / 4)
        round(frame, call, { region: frame.region, at: frame.at[part.buffer]! })
      }
    })
  }

  /** Where an input lies. */
  placeOf({ feeds }: Call, input: string): Place {
    const { buffer, byteOffset } = feeds[input]!
    return { region: this.library.region(buffer as ArrayBuffer), at: byteOffset }
  }

  /** Products for each class of rows, and the weights as they read them; k and n are filled up with zeros. */
  products(
    weights: { k: number; n: number; values: Float32Array },
    { format: input, stride, columns: rows }: Operand,
    { columns, output, relu }: { columns: number; output: Format; relu: boolean },
  ): { products: Product[]; packed: Weights } {
    const { k, n, values } = weights
    const shape = { k: rows, n: columns, input, stride, output, relu }
    const products = rowClasses.map((rows) => this.library.product({ rows, ...shape }))
    let all = values
    if (rows !== k || columns !== n) {
      all = new Float32Array(rows * columns)
      for (let row = 0; row < k; row++) all.set(values.subarray(row * n, (row + 1) * n), row * columns)
    }
    return { products, packed: this.library.pack(all, rows, columns, products) }
  }

  /** The format in which a product with these weights is computed. */
  formatOf(weights: string): Format {
    return product(this.graph.dimsOf(weights) ?? []) <= mostExact ? 'float32' : 'bfloat16'
  }

  /** Whether products in bfloat16 alone read a tensor, as their left operand. */
  isHidden(name: string): boolean {
    if (this.graph.isOutput(name)) return false
    const users = this.graph.users(name)
    const [relu] = users
    if (users.length === 1 && relu!.opType === 'Relu') return this.isHidden(relu!.output[0]!)
    return (
      users.length > 0 &&
      users.every(
        ({ opType, input }) =>
          (opType === 'Gemm' || (opType === 'MatMul' && this.isConstant(input[1]!))) &&
          input[0] === name &&
          this.formatOf(input[1]!) === 'bfloat16' &&
          !input.slice(1).includes(name),
      )
    )
  }

  /** Whether an input in bfloat16 can be read by all its users where it lies. */
  isOperand(name: string, dims: readonly number[]): boolean {
    const clips = this.graph.users(name).some(({ opType }) => opType === 'Relu')
    return dims.length === 1 && padded(dims[0]!) === dims[0] && !clips && this.isHidden(name)
  }

  /** Whether a ReLU is all that reads a tensor, perhaps reshaped: what computes the tensor computes the ReLU too, which is a copy then. */
  takesRelu(name: string): boolean {
    const [user] = this.graph.users(name)
    if (user === undefined || !this.graph.isPrivate(name, user)) return false
    if (user.opType === 'Relu') this.#clipped.add(user)
    return user.opType === 'Relu' || (user.opType === 'Reshape' && this.takesRelu(user.output[0]!))
  }

  /** Whether what a ReLU reads has been clipped by the step before it. */
  isClipped(relu: NodeProto): boolean {
    return this.#clipped.has(relu)
  }
}

import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import { NotTranslated } from '../rows/errors.ts'
import type { Call, Frame } from '../rows/program.ts'
import type { Part, Tensor } from '../rows/tensor.ts'
import { Translation, type TranslationParts } from '../rows/translation.ts'
import { Fusion } from './fusion.ts'
import { JoinedRequests } from './joined-requests.ts'
import { isPairProduct, type PairOrder } from './layers-over-pairs.ts'
import type { Library } from './library.ts'
import { mostExact, mostNarrow, type Operand } from './operand.ts'
import type { BoundProduct, Conversion, Place, Product, Weights } from './primitives.ts'
import { manyRows, type Tiling } from './tiling.ts'

/** Whether the rows of a graph are pairs of rows and items, of which there are thousands. */
function isOfPairs({ nodes: [first] }: Graph): boolean {
  return first !== undefined && isPairProduct(first)
}

/** Computes rows `start` … `end` of a product with this bias. */
type RunRows = (call: Call, start: number, end: number, bias: Place) => void

/** Makes it for a frame. */
export type MakeRunner = (frame: Frame) => RunRows

/** A translation whose products oneDNN computes. */
export class OnednnTranslation extends Translation {
  readonly library: Library
  readonly fusion: Fusion
  readonly tiling: Tiling
  readonly #operands = new Map<Tensor, Operand>()
  readonly #joined = new Map<number, JoinedRequests>()
  readonly #bound: BoundProduct[] = []
  readonly #kept: (Product | Conversion)[] = []

  /** Where the rows are pairs of rows and items. */
  pairs: PairOrder | undefined

  /** `rounds`: whether products of floats are computed in bfloat16. */
  constructor(parts: TranslationParts, library: Library, { rounds, tiling }: { rounds: boolean; tiling: Tiling }) {
    super(parts)
    this.library = library
    const isPairs = isOfPairs(parts.graph)
    this.tiling = isPairs ? manyRows(tiling) : tiling
    this.fusion = new Fusion(parts.graph, rounds, this.tiling, isPairs ? mostNarrow : mostExact)
  }

  /** Frees what oneDNN and tables have outside of JavaScript's memory: no call may follow. */
  close(): void {
    for (const bound of this.#bound.splice(0)) bound.release()
    for (const primitive of this.#kept.splice(0)) this.library.takeBack(primitive)
    this.tables.close()
  }

  /** Has these as long as the program is open. */
  keep(primitives: readonly (Product | Conversion)[]): void {
    this.#kept.push(...primitives)
  }

  /** A product with its weights, as long as the program is open. */
  bind(product: Product, weights: Weights): BoundProduct {
    const bound = product.bind(weights)
    this.#bound.push(bound)
    return bound
  }

  /** Numbers in memory of their own, as oneDNN reads them. */
  placed(values: Float32Array | Int32Array): Place {
    const buffer = new ArrayBuffer(Math.max(64, values.byteLength))
    new Uint8Array(buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return { region: this.library.region(buffer), at: 0 }
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
      this.program.step((frame) => (call) => made.mark(frame, call))
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
      this.join(copied, { ...operand, width: product(tensor.dims) })
    }
    return operand
  }

  /** Rounds a part to bfloat16, into columns of an operand. */
  #round(tensor: Tensor, part: Part, operand: Operand, column: number): void {
    const { each, input } = tensor
    if (input !== undefined) this.copyInput(tensor, input)
    const conversions = this.tiling.rowClasses.map((rows) =>
      this.library.conversion(
        { rows, columns: part.width, format: 'float32', stride: part.stride },
        { rows, columns: part.width, format: 'bfloat16', stride: operand.stride },
      ),
    )
    this.keep(conversions)
    this.program.step(({ buffer, at }) => {
      const region = this.library.region(buffer)
      return (call) =>
        this.tiling.inChunks(0, call[each], (row, index) =>
          conversions[index]!.run(
            { region, at: at[part.buffer]! + (part.offset + row * part.stride) * 4 },
            { region, at: at[operand.buffer]! + (row * operand.stride + column) * 2 },
          ),
        )
    })
  }

  /** Where an input lies. */
  placeOf({ feeds }: Call, input: number): Place {
    const { buffer, byteOffset } = feeds[input]!.data
    return { region: this.library.region(buffer as ArrayBuffer), at: byteOffset }
  }
}

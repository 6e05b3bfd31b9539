import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import type { Tensor } from '../rows/tensor.ts'
import type { Tiling } from './tiling.ts'

/** The format in which products are computed. */
export class Fusion {
  readonly #graph: Graph
  readonly #rounds: boolean
  readonly #tiling: Tiling

  readonly #exact: number

  /**
   * `rounds`: whether products of floats are computed in bfloat16; `exact`: multiplications a row up to which they are
   * not.
   */
  constructor(graph: Graph, rounds: boolean, tiling: Tiling, exact: number) {
    this.#graph = graph
    this.#rounds = rounds
    this.#tiling = tiling
    this.#exact = exact
  }

  /** The format in which a product with these weights is computed. */
  formatOf(weights: string, x?: Tensor): 'float32' | 'bfloat16' {
    if (!this.#rounds) return 'float32'
    // Parts are joined while they are rounded.
    if (x !== undefined && x.parts.length !== 1) return 'bfloat16'
    return product(this.#graph.dimsOf(weights) ?? []) <= this.#exact ? 'float32' : 'bfloat16'
  }

  /** Whether products in bfloat16 alone read a tensor, as their left operand. */
  isHidden(name: string): boolean {
    if (this.#graph.isOutput(name)) return false
    const users = this.#graph.users(name)
    const [relu] = users
    if (users.length === 1 && relu!.opType === 'Relu') return this.isHidden(relu!.output[0]!)
    return (
      users.length > 0 &&
      users.every(
        ({ opType, input }) =>
          (opType === 'Gemm' || (opType === 'MatMul' && this.#graph.constants.has(input[1]!))) &&
          input[0] === name &&
          this.formatOf(input[1]!) === 'bfloat16' &&
          !input.slice(1).includes(name),
      )
    )
  }

  /** Whether an input in bfloat16 can be read by all its users where it lies. */
  isOperand(name: string, dims: readonly number[]): boolean {
    const clips = this.#graph.users(name).some(({ opType }) => opType === 'Relu')
    return dims.length === 1 && this.#tiling.padded(dims[0]!) === dims[0] && !clips && this.isHidden(name)
  }
}

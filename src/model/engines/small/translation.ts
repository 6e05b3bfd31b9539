import { product } from '../../../base/arrays.ts'
import { FusedRelus } from '../../graph/ir/fused-relus.ts'
import type { Graph } from '../../graph/ir/graph.ts'
import type { NodeProto } from '../../graph/ir/onnx_pb.ts'
import { copyRuns, type Program, type RowTensor, type Run } from './program.ts'

/** A node that can't be computed one row at a time here; the reason. */
export class NotSmall extends Error {}

/** Adds a node's steps to a program. Throws NotSmall. */
export type Translator = (translation: Translation, node: NodeProto) => void

/** The state of a translation: a program as far as it has come, and the tensors that it computes. */
export class Translation {
  readonly program: Program
  readonly relus: FusedRelus
  readonly #graph: Graph
  readonly #tensors: Map<string, RowTensor>
  readonly #placed = new Map<string, number>()

  constructor(graph: Graph, program: Program, tensors: Map<string, RowTensor>) {
    this.#graph = graph
    this.relus = new FusedRelus(graph)
    this.program = program
    this.#tensors = tensors
  }

  tensor(name: string): RowTensor {
    const found = this.#tensors.get(name)
    if (found === undefined) throw new NotSmall(`${name} is the same for all rows`)
    return found
  }

  isConstant(name: string): boolean {
    return this.#graph.constants.has(name)
  }

  /** Dimensions and values of a float32 constant. */
  constant(name: string): { dims: number[]; values: Float32Array } {
    const values = this.#graph.floats(name)
    const dims = this.#graph.dimsOf(name)
    if (values === undefined || dims === undefined) throw new NotSmall(`${name} is no float32 constant in the graph`)
    return { dims, values }
  }

  /** Place of a constant in the heap, bytes; each is placed once. */
  placed(name: string, values: Float32Array): number {
    const known = this.#placed.get(name) ?? this.program.constant(values)
    this.#placed.set(name, known)
    return known
  }

  integers(name: string): number[] {
    const values = this.#graph.integersOf(name)
    if (values === undefined) throw new NotSmall(`${name} is no constant of integers`)
    return values
  }

  /** Room for an output. */
  result(name: string, dims: readonly number[], integers = false): RowTensor {
    const tensor = { at: this.program.place(product(dims)), dims, integers }
    this.#tensors.set(name, tensor)
    return tensor
  }

  /** An output that is a tensor under other dimensions. */
  alias(name: string, tensor: RowTensor, dims = tensor.dims): void {
    this.#tensors.set(name, { ...tensor, dims })
  }

  copy(runs: readonly Run[]): void {
    this.program.steps.push(copyRuns(runs))
  }
}

export function floats(tensor: RowTensor, { opType }: NodeProto): RowTensor {
  if (tensor.integers) throw new NotSmall(`${opType} of integers`)
  return tensor
}

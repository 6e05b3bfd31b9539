import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'

/** The ReLUs of a graph that are computed with what they read. */
export class FusedRelus {
  readonly #graph: Graph
  readonly #taken = new Set<NodeProto>()

  constructor(graph: Graph) {
    this.#graph = graph
  }

  /**
   * Whether a ReLU is all that reads a tensor, perhaps reshaped: what computes the tensor computes the ReLU too, which
   * is a copy then.
   */
  take(name: string): boolean {
    const [user] = this.#graph.users(name)
    if (user === undefined || !this.#graph.isPrivate(name, user)) return false
    if (user.opType === 'Relu') this.#taken.add(user)
    return user.opType === 'Relu' || (user.opType === 'Reshape' && this.take(user.output[0]!))
  }

  /** Whether what a ReLU reads has been clipped by the step before it. */
  isTaken(relu: NodeProto): boolean {
    return this.#taken.has(relu)
  }
}

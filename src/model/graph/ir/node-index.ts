import { ModelError } from '../../../base/errors.ts'
import type { GraphProto, NodeProto } from './onnx_pb.ts'

/** The producer and users of each tensor; a snapshot. */
export class NodeIndex {
  readonly #producers = new Map<string, NodeProto>()
  readonly #users = new Map<string, NodeProto[]>()

  constructor(nodes: readonly NodeProto[]) {
    for (const node of nodes) {
      for (const name of node.output) this.#producers.set(name, node)
      for (const name of new Set(node.input)) {
        const users = this.#users.get(name)
        if (users) users.push(node)
        else this.#users.set(name, [node])
      }
    }
  }

  producer(tensor: string): NodeProto | undefined {
    return this.#producers.get(tensor)
  }

  /** Nodes that read a tensor, each once. */
  users(tensor: string): NodeProto[] {
    return this.#users.get(tensor) ?? []
  }

  /** The nodes that these tensors need, each after those whose outputs it reads. Throws INVALID_BUNDLE for a cycle. */
  inOrder(tensors: Iterable<string>): NodeProto[] {
    const ordered: NodeProto[] = []
    const state = new Map<NodeProto, 'open' | 'done'>()
    // Not recursive: graphs may be deep.
    const stack: { node: NodeProto; next: number }[] = []
    const enter = (tensor: string) => {
      const node = this.producer(tensor)
      if (node === undefined || state.get(node) === 'done') return
      if (state.get(node) === 'open') throw new ModelError('INVALID_BUNDLE', `the node ${node.name} depends on itself`)
      state.set(node, 'open')
      stack.push({ node, next: 0 })
    }
    for (const tensor of tensors) {
      enter(tensor)
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        if (top.next < top.node.input.length) enter(top.node.input[top.next++]!)
        else {
          stack.pop()
          state.set(top.node, 'done')
          ordered.push(top.node)
        }
      }
    }
    return ordered
  }
}

/** Throws INVALID_BUNDLE where a tensor is defined twice. Optional outputs that are left out have no name. */
export function checkDefinitions({ input, initializer, node }: GraphProto): void {
  const definitions = new Map<string, string>()
  for (const { name } of input) definitions.set(name, 'an input of the graph')
  for (const { name } of initializer) definitions.set(name, 'a constant')
  for (const { opType, name, output } of node) {
    const definition = `the output of ${opType} ${name}`.trimEnd()
    for (const tensor of output) {
      const other = definitions.get(tensor)
      if (other !== undefined)
        throw new ModelError('INVALID_BUNDLE', `${tensor} is defined twice: it is ${other} and ${definition}`)
      if (tensor !== '') definitions.set(tensor, definition)
    }
  }
}

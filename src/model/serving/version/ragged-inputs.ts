import type { NodeProto, ValueInfoProto } from '../../graph/ir/onnx_pb.ts'

/** Two inputs that are lists of any length: all their values, one after the other, and where each begins. */
export interface Ragged {
  values: string
  offsets: string
}

/** The parts of a graph that show it. */
export interface Nodes {
  inputs: readonly ValueInfoProto[]
  nodes: readonly NodeProto[]
}

/**
 * Finds inputs of values and offsets, as PyTorch's EmbeddingBag takes them: [values] and [batch], where the graph puts
 * the number of values behind the offsets, or a name says that they are offsets.
 */
export function raggedInputs({ inputs, nodes }: Nodes): Ragged | undefined {
  const flat = inputs.filter((input) => dimsOf(input)?.length === 1)
  for (const offsets of flat)
    for (const values of flat) {
      if (values === offsets || lengthOf(values) === lengthOf(offsets)) continue
      const named = /offset|row_?splits/i.test(offsets.name) && isLookedUp(nodes, values.name)
      if (named || endsWithSize(nodes, offsets.name, values.name)) return { values: values.name, offsets: offsets.name }
    }
  return undefined
}

/** The reason why they are refused, and the export that works. */
export function raggedProblem({ values, offsets }: Ragged): string {
  return `the inputs ${values} and ${offsets} are the values and offsets of lists of any length (EmbeddingBag), which can't be served: export the model with padded ids [batch, max] instead, an Embedding whose rows are added up where a mask, such as ids != 0, has a value`
}

function dimsOf({ type }: ValueInfoProto) {
  return type?.value.case === 'tensorType' ? type.value.value.shape?.dim : undefined
}

/** The name of a free number of elements. */
function lengthOf(input: ValueInfoProto): string | undefined {
  const [first] = dimsOf(input) ?? []
  return first?.value.case === 'dimParam' ? first.value.value : undefined
}

const passing = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'])

/** The tensors that hold the elements of an input in their order, itself first. Nodes stand in order. */
function sameElements(nodes: Nodes['nodes'], input: string): Set<string> {
  const found = new Set([input])
  for (const { opType, input: read, output } of nodes)
    if (passing.has(opType) && found.has(read[0]!)) found.add(output[0]!)
  return found
}

function isLookedUp(nodes: Nodes['nodes'], input: string): boolean {
  const same = sameElements(nodes, input)
  return nodes.some(({ opType, input: [, ids] }) => opType === 'Gather' && ids !== undefined && same.has(ids))
}

/** Whether a Concat puts the number of `values` behind `offsets`. */
function endsWithSize(nodes: Nodes['nodes'], offsets: string, values: string): boolean {
  const [firsts, elements] = [sameElements(nodes, offsets), sameElements(nodes, values)]
  const sizes = new Set<string>()
  for (const { opType, input: read, output } of nodes) {
    const isSize = (opType === 'Shape' || opType === 'Size') && elements.has(read[0]!)
    if (isSize || ((passing.has(opType) || opType === 'Gather') && sizes.has(read[0]!))) sizes.add(output[0]!)
  }
  return nodes.some(
    ({ opType, input: [first, second] }) =>
      opType === 'Concat' && first !== undefined && firsts.has(first) && second !== undefined && sizes.has(second),
  )
}

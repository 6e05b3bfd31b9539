import { toBinary } from '@bufbuild/protobuf'
import type { Graph } from '../ir/graph.ts'
import { AttributeProtoSchema, type NodeProto } from '../ir/onnx_pb.ts'
import { isOfSizes, isPlainReshape } from '../ir/reshape.ts'
import type { VariantGraph } from './split-graphs.ts'

/**
 * Computes equal tensors of a variant once, and reshapes them once: its parts are added without knowing of each other.
 * Calls of small nodes cost as much as the work of large ones.
 */
export function tidyVariant({ graph, replaced }: VariantGraph): void {
  graph.tidy()
  const constants = new Map<string, string>()
  const nodes = new Map<string, NodeProto>()
  const names = new Map<string, string>()
  const nameOf = (name: string): string => {
    const integers = graph.integersOf(name)
    if (integers === undefined) return names.get(name) ?? name
    // Constants of the same integers, such as shapes, have several names.
    const key = `${graph.constants.get(name)!.dataType} ${graph.dimsOf(name)} ${integers}`
    const first = constants.get(key) ?? name
    constants.set(key, first)
    return first
  }
  const kept: NodeProto[] = []
  const producers = new Map<string, NodeProto>()
  for (const node of graph.nodes) {
    node.input = node.input.map(nameOf)
    if (reshapes(graph, node)) {
      const former = producers.get(node.input[0]!)
      if (former !== undefined && isPlainReshape(graph, former)) node.input = [former.input[0]!, node.input[1]!]
      const source = node.input[0]!
      if (!graph.isOutput(node.output[0]!) && keepsShape(graph, source, node.output[0]!)) {
        names.set(node.output[0]!, source)
        continue
      }
    }
    const key = keyOf(node)
    const first = nodes.get(key)
    if (first !== undefined && !node.output.some((name) => graph.isOutput(name))) {
      node.output.forEach((name, i) => {
        names.set(name, first.output[i]!)
      })
      continue
    }
    nodes.set(key, node)
    for (const name of node.output) producers.set(name, node)
    kept.push(node)
  }
  graph.nodes = kept
  graph.touch()
  graph.tidy()
  for (const [layer, name] of replaced) replaced.set(layer, nameOf(name))
}

/** Whether a node is a Reshape to sizes that no input's stand in for. */
function reshapes(graph: Graph, node: NodeProto): boolean {
  return isPlainReshape(graph, node) || (node.opType === 'Reshape' && isOfSizes(node.input[1]!))
}

/** Whether a Reshape changes nothing: sizes other than the first are known, and equal. */
function keepsShape(graph: Graph, source: string, output: string): boolean {
  const [before, after] = [source, output].map((name) => graph.shapes.get(name)?.dims)
  return before?.length === after?.length && !!after?.every((side, i) => (i === 0 || side > 0) && side === before![i])
}

/** Equal nodes have equal keys: all that computes their outputs. */
function keyOf({ opType, domain, input, output, attribute }: NodeProto): string {
  const attributes = attribute.map((one) => Buffer.from(toBinary(AttributeProtoSchema, one)).toString('base64'))
  return JSON.stringify([opType, domain, input, output.length, attributes.sort()])
}

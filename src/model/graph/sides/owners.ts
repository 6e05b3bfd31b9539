import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import type { FeatureFinder, Segment } from './columns.ts'
import type { Owners, Side, Sides } from './split-graphs.ts'

/** The sides that each tensor depends on; none for what depends on the number of rows alone. */
export function ownersOf(graph: Graph, features: FeatureFinder, sides: Sides): Owners {
  const owners = new Map<string, ReadonlySet<Side>>()
  for (const { name } of graph.inputs) owners.set(name, new Set(sides[name]))
  const ofTensor = (name: string): Iterable<Side> => {
    const segments = features(name)
    return segments === undefined ? (owners.get(name) ?? []) : sidesOfSegments(segments, sides)
  }
  for (const node of graph.nodes) {
    const owner = countsRows(graph, node)
      ? []
      : node.opType === 'Shape' || node.opType === 'Size'
        ? everySide
        : node.input.flatMap((name) => [...ofTensor(name)])
    for (const output of node.output) owners.set(output, new Set(features(output) ? ofTensor(output) : owner))
  }
  return owners
}

const everySide: Side[] = ['context', 'candidate', 'cross']

function sidesOfSegments(segments: readonly Segment[], sides: Sides): Side[] {
  return segments.flatMap(({ input, columns }) => columns.map((column) => sides[input]![column]!))
}

/** Whether a node yields a shape of which all is known but the number of rows. */
export function countsRows(graph: Graph, { opType, input }: NodeProto): boolean {
  return opType === 'Shape' && graph.shapes.has(input[0] ?? '')
}

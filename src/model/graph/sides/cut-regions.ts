import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { declare, floatShape } from '../ir/tensor-shape.ts'
import { type FeatureFinder, featureFinder, type Segment } from './columns.ts'
import { edgesOf, type Owners } from './edges.ts'
import type { CutGraph, Side, Sides } from './split-graphs.ts'

/*
 * Which parts of a graph depend on one side alone. A user's tower reads the context: it is computed once per request. A
 * candidate's tower can be kept. Both may be of any depth and of any operators, for rows are independent of each other.
 */

/** Cuts the regions out of a graph; returns a reason if there is nothing to split. */
export function cutRegions(whole: Graph, sides: Sides): CutGraph | string {
  for (const { name } of whole.inputs) {
    const width = product(whole.shapes.get(name)?.dims.slice(1) ?? [])
    if (whole.users(name).length === 0) continue
    for (let column = 0; column < width; column++)
      if (sides[name]?.[column] === undefined) return `the sides of the input ${name} are not known`
  }
  const rest = whole.copy()
  const features = featureFinder(rest)
  const owners = ownersOf(rest, features, sides)
  const read = new Set(rest.outputs.flatMap(({ name }) => [...(owners.get(name) ?? [])]))
  if (!read.has('context') && !read.has('candidate'))
    return 'no field belongs only to the context or only to the candidate'
  if (!read.has('candidate') && !read.has('cross')) return 'every field belongs to the context'

  const regions = new Map<string, string>()
  const all: Record<string, readonly Side[]> = { ...sides }
  for (const tensor of edgesOf(rest, features, owners)) {
    const [side] = owners.get(tensor)!
    const shape = rest.shapes.get(tensor)!
    const width = product(shape.dims.slice(1))
    const input = rest.fresh(`${tensor}/region`)
    const flat = floatShape(-1, width)
    rest.inputs.push(declare(input, flat))
    rest.shapes.set(input, flat)
    regions.set(input, tensor)
    all[input] = new Array<Side>(width).fill(side!)
    const value = shape.dims.length === 2 ? input : rest.node('Reshape', [input, rest.integers(shape.dims)], { shape })
    rest.replace(tensor, value)
  }
  keepLive(rest)
  return {
    whole,
    rest,
    sides: all,
    regions,
    read,
    features: { whole: featureFinder(whole), rest: featureFinder(rest) },
  }
}

/** A graph that is not cut. */
export function uncut(whole: Graph, sides: Sides): CutGraph {
  const features = featureFinder(whole)
  return {
    whole,
    rest: whole,
    sides,
    regions: new Map(),
    read: new Set(),
    features: { whole: features, rest: features },
  }
}

/** Drops nodes, but no constants: the variants that regions are added to need them. */
function keepLive(graph: Graph): void {
  graph.touch()
  const live = new Set<NodeProto>()
  const open = graph.outputs.map(({ name }) => name)
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = graph.producer(name)
    if (node === undefined || live.has(node)) continue
    live.add(node)
    open.push(...node.input)
  }
  graph.nodes = graph.nodes.filter((node) => live.has(node))
  graph.touch()
}

/** The sides that each tensor depends on; none for what depends on the number of rows alone. */
function ownersOf(graph: Graph, features: FeatureFinder, sides: Sides): Owners {
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

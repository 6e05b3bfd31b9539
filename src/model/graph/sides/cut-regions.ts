import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { declare, floatShape } from '../ir/tensor-shape.ts'
import { featureFinder } from './columns.ts'
import { edgesOf } from './edges.ts'
import { mixedParts } from './mixed-parts.ts'
import { ownersOf } from './owners.ts'
import type { CutGraph, Side, Sides } from './split-graphs.ts'

/*
 * Which parts of a graph depend on one side alone. A user's tower reads the context: it is computed once per request. A
 * candidate's tower can be kept. Both may be of any depth and of any operators, for rows are independent of each other.
 */

/** Cuts the regions out of a graph; returns a reason if there is nothing to split. */
export function cutRegions(whole: Graph, sides: Sides): CutGraph | string {
  const unknown = unknownInput(whole, sides)
  if (unknown !== undefined) return `the sides of the input ${unknown} are not known`
  const rest = whole.copy()
  const features = featureFinder(rest)
  const owners = ownersOf(rest, features, sides)
  const read = new Set(rest.outputs.flatMap(({ name }) => [...(owners.get(name) ?? [])]))
  if (!read.has('context') && !read.has('candidate'))
    return 'no field belongs only to the context or only to the candidate'
  if (!read.has('candidate') && !read.has('cross')) return 'every field belongs to the context'

  const edges = edgesOf(rest, features, owners)
  const parts = mixedParts(rest, (name) => features(name) !== undefined || edges.has(name))
  const all: Record<string, readonly Side[]> = { ...sides }
  const addInput = (name: string, width: number, side: Side) => {
    const input = rest.fresh(name)
    const flat = floatShape(-1, width)
    rest.inputs.push(declare(input, flat))
    rest.shapes.set(input, flat)
    all[input] = new Array<Side>(width).fill(side)
    return input
  }
  const regions = new Map<string, string>()
  for (const tensor of edges) {
    const [side] = owners.get(tensor)!
    const shape = rest.shapes.get(tensor)!
    const input = addInput(`${tensor}/region`, product(shape.dims.slice(1)), side!)
    regions.set(input, tensor)
    const value = shape.dims.length === 2 ? input : rest.node('Reshape', [input, rest.integers(shape.dims)], { shape })
    rest.replace(tensor, value)
  }
  const inputs = new Map<string, string>()
  for (const [concat, names] of parts)
    for (const name of names) {
      const input = inputs.get(name) ?? addInput(`${name}/mixed`, rest.shapes.get(name)!.dims[1]!, 'cross')
      inputs.set(name, input)
      concat.input = concat.input.map((part) => (part === name ? input : part))
    }
  const mixed = new Map([...inputs].map(([tensor, input]) => [input, tensor]))
  keepLive(rest, mixed.values())
  return {
    whole,
    rest,
    sides: all,
    regions,
    mixed,
    owners,
    read,
    features: { whole: featureFinder(whole), rest: featureFinder(rest) },
  }
}

/** An input of which the side of a column is not known. */
function unknownInput(graph: Graph, sides: Sides): string | undefined {
  const read = graph.inputs.filter(({ name }) => graph.users(name).length > 0)
  return read.find(({ name }) => {
    const width = product(graph.shapes.get(name)?.dims.slice(1) ?? [])
    return Array.from({ length: width }, (_, column) => sides[name]?.[column]).includes(undefined)
  })?.name
}

/** A graph that is not cut. */
export function uncut(whole: Graph, sides: Sides): CutGraph {
  const features = featureFinder(whole)
  return {
    whole,
    rest: whole,
    sides,
    regions: new Map(),
    mixed: new Map(),
    owners: new Map(),
    read: new Set(),
    features: { whole: features, rest: features },
  }
}

/** Drops nodes that neither outputs nor `read` need, but no constants: variants that regions are added to need them. */
function keepLive(graph: Graph, read: Iterable<string>): void {
  graph.touch()
  const live = new Set<NodeProto>()
  const open = [...graph.outputs.map(({ name }) => name), ...read]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = graph.producer(name)
    if (node === undefined || live.has(node)) continue
    live.add(node)
    open.push(...node.input)
  }
  graph.nodes = graph.nodes.filter((node) => live.has(node))
  graph.touch()
}

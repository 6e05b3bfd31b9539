import { clone } from '@bufbuild/protobuf'
import { product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, NodeProtoSchema } from '../ir/onnx_pb.ts'
import type { TensorShape } from '../ir/tensor-shape.ts'
import { countsRows } from './owners.ts'
import { batchOf, features } from './side-columns.ts'
import type { CutGraph, RegionEmitter, Side, Sides, VariantGraph } from './split-graphs.ts'
import { planNames } from './tensor-names.ts'

/** The nodes of a cut graph's regions, added to a variant as far as it reads them. */
export class RegionNodes {
  readonly #plan: VariantGraph
  readonly #cut: CutGraph
  readonly #sides: Sides
  readonly #emitter: RegionEmitter | undefined
  /** The variant's names of the whole graph's tensors: computed for each row, or once a request. */
  readonly #names = { rows: new Map<string, string>(), requests: new Map<string, string>() }

  /** `sides`: of the inputs' columns, as the variant takes them. */
  constructor(plan: VariantGraph, cut: CutGraph, sides: Sides, emitter: RegionEmitter | undefined) {
    this.#plan = plan
    this.#cut = cut
    this.#sides = sides
    this.#emitter = emitter
  }

  /**
   * One input of the rest, [batch, width], computed from columns of these sides; undefined if it is neither a region's
   * nor a mixed tensor.
   */
  columns(input: string, wanted: Side[]): string | undefined {
    const mixed = this.#cut.mixed.get(input)
    if (mixed !== undefined) return this.#mixed(mixed)
    const tensor = this.#cut.regions.get(input)
    if (tensor === undefined) return undefined
    // Features first: they are the inputs that rows can be counted by.
    for (const name of this.#featuresUnder(tensor, this.#namesFor(wanted))) this.#add(name, wanted)
    const value = this.#add(tensor, wanted)
    const { dims } = this.#cut.whole.shapes.get(tensor)!
    if (dims.length === 2) return value
    const shape = { dtype: DataType.FLOAT, dims: [batchOf(wanted), product(dims.slice(1))] }
    return this.#once(`${tensor}/region`, wanted, () => reshape(this.#plan.graph, value, shape))
  }

  /** The variant's name of a mixed tensor: it may be the output of a first layer. */
  #mixed(tensor: string): string {
    const { graph, replaced } = this.#plan
    const layer = [...replaced.keys()].find(({ output }) => output === tensor)
    return layer === undefined || graph.isOutput(tensor) ? tensor : replaced.get(layer)!
  }

  #namesFor(wanted: Side[]): Map<string, string> {
    return batchOf(wanted) === 1 ? this.#names.requests : this.#names.rows
  }

  #featuresUnder(tensor: string, known: ReadonlyMap<string, string>): Set<string> {
    const { whole, features } = this.#cut
    const found = new Set<string>()
    const seen = new Set<string>()
    const open = [tensor]
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (seen.has(name) || known.has(name)) continue
      seen.add(name)
      if (features.whole(name) !== undefined) found.add(name)
      else {
        const node = whole.producer(name)
        if (node !== undefined && !countsRows(whole, node)) open.push(...node.input)
      }
    }
    return found
  }

  #once(name: string, wanted: Side[], add: () => string): string {
    const names = this.#namesFor(wanted)
    const known = names.get(name) ?? add()
    names.set(name, known)
    return known
  }

  /** Adds what a tensor of the whole graph is computed by; returns its name. */
  #add(name: string, wanted: Side[]): string {
    const { whole } = this.#cut
    if (name === '' || whole.constants.has(name)) return name
    const names = this.#namesFor(wanted)
    const known = names.get(name)
    if (known !== undefined) return known
    const segments = this.#cut.features.whole(name)
    const shape = shapeFor(whole.shapes.get(name), wanted)
    if (segments !== undefined) {
      const value = features(this.#plan, segments, this.#sides, wanted)
      return this.#once(name, wanted, () =>
        shape?.dims.length === 2 ? value : reshape(this.#plan.graph, value, shape!),
      )
    }
    const group = this.#emitter?.groups.get(name)
    if (group !== undefined) {
      const outputs = this.#emitter!.emit(this.#plan, group, wanted)
      group.forEach((layer, i) => {
        names.set(layer.output, outputs[i]!)
        this.#plan.replaced.set(layer, outputs[i]!)
      })
      return names.get(name)!
    }
    const node = whole.producer(name)!
    if (countsRows(whole, node)) {
      const list = batchOf(wanted) === 1 ? this.#plan.context : this.#plan.rows
      return this.#once(name, wanted, () => rowShape(this.#plan.graph, list[0]!.name, whole, node))
    }
    this.#copy(node, wanted)
    return names.get(name)!
  }

  #copy(node: NodeProto, wanted: Side[]): void {
    const { graph } = this.#plan
    const names = this.#namesFor(wanted)
    const copy = clone(NodeProtoSchema, node)
    copy.input = node.input.map((name) => this.#add(name, wanted))
    copy.output = node.output.map((name) => {
      if (name === '') return name
      const own = planNames.region(batchOf(wanted) === 1 ? 'requests' : 'rows', name)
      names.set(name, own)
      const shape = shapeFor(this.#cut.whole.shapes.get(name), wanted)
      if (shape !== undefined) graph.shapes.set(own, shape)
      return own
    })
    copy.name = copy.output[0]!
    graph.nodes.push(copy)
    graph.touch()
  }
}

/** A shape of the whole graph, for the rows of a variant or for its requests. */
function shapeFor(shape: TensorShape | undefined, wanted: Side[]): TensorShape | undefined {
  if (shape === undefined || batchOf(wanted) !== 1) return shape
  return { dtype: shape.dtype, dims: shape.dims.map((side) => Math.abs(side)) }
}

function reshape(graph: Graph, value: string, shape: TensorShape): string {
  const [, ...rest] = shape.dims
  return graph.node('Reshape', [value, graph.integers([-1, ...rest])], { shape })
}

/** The number of rows of an input, int64 [1]. */
export function rowCount(graph: Graph, input: string): string {
  const shape = graph.node('Shape', [input], {
    shape: { dtype: DataType.INT64, dims: [graph.shapes.get(input)!.dims.length] },
  })
  const slice = [graph.integers([0]), graph.integers([1])]
  return graph.node('Slice', [shape, ...slice], { shape: { dtype: DataType.INT64, dims: [1] } })
}

/** The result of a Shape of the whole graph, see `countsRows`, for the rows of `input`. */
export function rowShape(graph: Graph, input: string, whole: Graph, node: NodeProto): string {
  const { dims } = whole.shapes.get(node.input[0]!)!
  const wanted = dims.slice(intAttribute(node, 'start', 0), intAttribute(node, 'end', dims.length))
  const shape = { dtype: DataType.INT64, dims: [1] }
  const sides = wanted.map((side) => {
    if (side >= 0) return graph.integers([side])
    const count = rowCount(graph, input)
    return side === -1 ? count : graph.node('Mul', [count, graph.integers([-side])], { shape })
  })
  if (sides.length === 1) return sides[0]!
  return graph.node('Concat', sides, { attributes: { axis: 0 }, shape: { ...shape, dims: [sides.length] } })
}

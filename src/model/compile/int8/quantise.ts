import type { Segment } from '../../graph/columns.ts'
import { weightsOf } from '../../graph/gemm.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../graph/onnx_pb.ts'
import { floatShape, type TensorShape } from '../../graph/tensor-shape.ts'
import type { Emit, FirstLayer, Group, Side, Sides, SplitGraphs, VariantGraph } from '../sides/contract.ts'
import { batchOf, columnsOf, embed, pickRows, rowIndexes } from '../sides/side-columns.ts'
import { assemble, knownSum, ofRequest, readsContext } from '../sides/side-graphs.ts'
import { firstLayers, splitLayers } from '../sides/split-sides.ts'
import { roundToBytes, sideBySide, sideBySideCopies, sumsOf, toBytes, toFloats, toInt8 } from './int8-matrix.ts'
import { type QuantiseOptions, quantiseLayers } from './quantise-layers.ts'

/**
 * A graph in int8, whole and by side: fixed scales, so that a row's answer never depends on its batch-mates.
 *
 * Features are bytes: tables are stored so, values are rounded to 256 steps of their range; their scales are folded into
 * the weights, their zero points into the bias. Products are QGemm, whose output of bytes makes a ReLU free (its zero
 * point is 0), or MatMulIntegerToFloat at the end of a chain. All plans compute the same integers, in whatever order they
 * add them, so that a candidate's answer does not depend on whether it was known.
 */
export function quantise(graph: Graph, options: QuantiseOptions): { full: VariantGraph; split: SplitGraphs | string } {
  const { effort } = options
  const layers = firstLayers(graph)
  if (layers.length === 0) throw new Error('no product of features was found')
  for (const layer of layers) {
    // The ReLU after a hidden layer's product is replaced with it.
    const [relu, ...more] = graph.users(layer.gemm.output[0]!)
    if (relu?.opType === 'Relu' && more.length === 0 && options.hidden.has(relu.output[0]!))
      layer.output = relu.output[0]!
  }
  const { made, features } = quantiseLayers(graph, layers, options)

  const everything: Sides = Object.fromEntries(
    layers.flatMap(({ segments }) =>
      segments.map(({ input }) => [input, new Array<Side>(graph.shapes.get(input)!.dims[1] ?? 1).fill('candidate')]),
    ),
  )
  const full = assemble(graph, layers, sharedContextOf(everything))
  if (typeof full === 'string') throw new Error(full)
  finish(full)
  const split =
    options.sides === undefined
      ? 'the sides of the fields are not known'
      : splitLayers(graph, layers, options.sides, {
          shared_context: sharedContextOf(options.sides),
          cached: cachedOf(options.sides),
          candidate_encoder: candidateEncoderOf(options.sides),
          context_encoder: contextEncoderOf(options.sides),
        })
  if (typeof split !== 'string') {
    if (split.shared_context) finish(split.shared_context)
    if (split.candidate_encoder) finish(split.candidate_encoder)
    if (split.context_encoder) finish(split.context_encoder)
    if (split.cached) finish(split.cached)
  }
  return { full, split }

  /** Bytes of the features of these sides: [rows, k]. */
  function bytes(plan: VariantGraph, segments: Segment[], sides: Sides, wanted: Side[]): string | undefined {
    const { graph: target } = plan
    const batch = batchOf(wanted)
    const parts: string[] = []
    let width = 0
    for (const segment of segments) {
      const picked = columnsOf(plan, segment, sides, wanted)
      if (picked === undefined) continue
      const { values, positions } = picked
      const { table, scale, zero, repeats } = features.get(segment)!
      if (table !== undefined) {
        table.addTo(target)
        const once = embed(target, table.name, values, [batch, positions.length, segment.dim])
        const size = positions.length * segment.dim
        for (let copy = 0; copy < effort.copies; copy++) parts.push(once)
        width += size * effort.copies
        continue
      }
      // Copies are shifted by fractions of a step, and so together as fine as their number: Σ round(x + δᵢ) ≈ n·x.
      const copies = positions.flatMap((i, place) =>
        Array.from({ length: repeats[i]! }, (_, copy) => ({ i, place, shift: (copy + 0.5) / repeats[i]! - 0.5 })),
      )
      const count = copies.length
      width += count
      let x = values
      if (count > positions.length) {
        const places = target.integers(copies.map(({ place }) => place))
        const shifts = Float32Array.from(copies, ({ i, shift }) => shift * scale[i]!)
        const shape = floatShape(batch, count)
        x = target.node('Gather', [x, places], { attributes: { axis: 1 }, shape })
        x = target.node('Add', [x, target.constant('values/shift', shifts, [count])], { shape })
      }
      const names = [
        target.constant(
          'values/scale',
          Float32Array.from(copies, ({ i }) => scale[i]!),
          [count],
        ),
        target.constant(
          'values/zero',
          Uint8Array.from(copies, ({ i }) => zero[i]!),
          [count],
        ),
      ]
      const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, count] }
      parts.push(target.node('QuantizeLinear', [x, ...names], { attributes: { axis: 1 }, shape }))
    }
    if (parts.length <= 1) return parts[0]
    const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, width] }
    return target.node('Concat', parts, { attributes: { axis: 1 }, shape })
  }

  /**
   * Per hidden layer of the group what its int32 sums begin with: the offset, and the context's part. A constant, or a row
   * for each request.
   */
  function contextSums(plan: VariantGraph, group: Group, sides: Sides, x: string | undefined): Map<FirstLayer, string> {
    const { graph: target } = plan
    const members = group.filter((layer) => made.get(layer)!.hidden)
    const sums = new Map<FirstLayer, string>()
    const offsets = members.map((layer) => {
      const { matrix, offset } = made.get(layer)!
      return Int32Array.from(offset, (value, j) => Math.round(value / matrix.scale[j]!))
    })
    if (x === undefined) {
      members.forEach((layer, i) => {
        sums.set(layer, target.constant('sums', offsets[i]!, [offsets[i]!.length]))
      })
      return sums
    }
    if (members.length === 0) return sums
    const rows = rowsOf(members[0]!, sides, ['context'])
    const width = offsets.reduce((sum, { length }) => sum + length, 0)
    const weights = sideBySide(
      members.map((layer) => {
        const { matrix } = made.get(layer)!
        return { n: matrix.n, data: pickRows(matrix.q, matrix.n, rows) }
      }),
      rows.length,
    )
    const shape: TensorShape = { dtype: DataType.INT32, dims: [1, width] }
    const product = target.node('MatMulInteger', [x, target.constant('context/int8', weights, [rows.length, width])], {
      shape,
    })
    const all = new Int32Array(width)
    let column = 0
    for (const offset of offsets) {
      all.set(offset, column)
      column += offset.length
    }
    const sum = target.node('Add', [product, target.constant('context/sums', all, [width])], { shape })
    if (members.length === 1) return sums.set(members[0]!, sum)
    const sizes = offsets.map(({ length }) => length)
    const parts = target.nodeOf('Split', [sum, target.integers(sizes)], sizes.length, {
      attributes: { axis: 1 },
      shapes: sizes.map((size) => ({ dtype: DataType.INT32, dims: [1, size] })),
    })
    members.forEach((layer, i) => {
      sums.set(layer, parts[i]!)
    })
    return sums
  }

  /** Rows of a layer's matrix that these sides' features meet, in the order of `bytes`. */
  function rowsOf(layer: FirstLayer, sides: Sides, wanted: Side[]): number[] {
    const { starts, quantised } = made.get(layer)!
    const rows: number[] = []
    let first = 0
    for (const [i, segment] of layer.segments.entries()) {
      const { table, repeats } = quantised[i]!
      const own = rowIndexes([segment], sides, wanted)
      if (table !== undefined)
        for (let copy = 0; copy < effort.copies; copy++) for (const row of own) rows.push(starts[first + row]! + copy)
      else
        for (const row of own) for (let copy = 0; copy < repeats[row]!; copy++) rows.push(starts[first + row]! + copy)
      first += segment.columns.length * segment.dim
    }
    return rows
  }

  function sharedContextOf(sides: Sides): Emit {
    return (plan, group) => {
      const [{ segments }] = group
      const context = bytes(plan, segments, sides, ['context'])
      const x = bytes(plan, segments, sides, ['candidate', 'cross'])!
      const sums = contextSums(plan, group, sides, context)
      const rows = rowsOf(group[0], sides, ['candidate', 'cross'])
      return group.map((layer) => {
        const { matrix, offset, hidden } = made.get(layer)!
        if (hidden) {
          const sum = sums.get(layer)!
          return toBytes(plan.graph, x, matrix, rows, context === undefined ? sum : ofRequest(plan, sum))
        }
        if (context === undefined) return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset))
        const shared = ofRequest(plan, contextFloats(plan, layer, sides, context))
        const own = toFloats(plan.graph, x, matrix, rows, undefined)
        return plan.graph.node('Add', [own, shared], { shape: floatShape(-1, matrix.n) })
      })
    }
  }

  function contextFloats(plan: VariantGraph, layer: FirstLayer, sides: Sides, x: string): string {
    const { matrix, offset } = made.get(layer)!
    const rows = rowsOf(layer, sides, ['context'])
    return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset), 1)
  }

  /** Sums of integers as float32, or an offset: what a layer's sum has beside its rows' features. */
  function contextEncoderOf(sides: Sides): Emit {
    return (plan, group) => {
      const x = bytes(plan, group[0].segments, sides, ['context'])
      const sums = contextSums(plan, group, sides, x)
      const batch = x === undefined ? -1 : 1
      return group.map((layer) => {
        const { matrix, offset, hidden } = made.get(layer)!
        if (hidden) {
          const shape = floatShape(batch, matrix.n)
          return plan.graph.node('Cast', [sums.get(layer)!], { attributes: { to: DataType.FLOAT }, shape })
        }
        if (x !== undefined) return contextFloats(plan, layer, sides, x)
        return plan.graph.constant('offset', Float32Array.from(offset), [matrix.n])
      })
    }
  }

  function cachedOf(sides: Sides): Emit {
    return (plan, group) => {
      const { graph: target } = plan
      const rest = readsContext(group, sides) ? undefined : contextEncoderOf(sides)(plan, group)
      const cross = bytes(plan, group[0].segments, sides, ['cross'])
      const crossRows = rowsOf(group[0], sides, ['cross'])
      return group.map((layer, i) => {
        const { matrix, hidden } = made.get(layer)!
        const { n } = matrix
        const shape = floatShape(-1, n)
        const terms = [knownSum(plan, layers.indexOf(layer), n), ...(rest ? [rest[i]!] : [])]
        if (cross !== undefined)
          terms.push(toFloats(target, cross, hidden ? sumsOf(matrix) : matrix, crossRows, undefined))
        const sum = terms.reduce((sum, term) => target.node('Add', [sum, term], { shape }))
        if (!hidden) return sum
        const scaled = target.node('Mul', [sum, target.constant('sums/scale', matrix.scale, [n])], { shape })
        return roundToBytes(target, scaled, n)
      })
    }
  }

  /** Of a hidden layer the parts are sums of integers, which float32 adds without rounding: so all plans scale the same sum. */
  function candidateEncoderOf(sides: Sides): Emit {
    return (plan, group) => {
      const x = bytes(plan, group[0].segments, sides, ['candidate'])!
      const rows = rowsOf(group[0], sides, ['candidate'])
      return group.map((layer) => {
        const { matrix, hidden } = made.get(layer)!
        return toFloats(plan.graph, x, hidden ? sumsOf(matrix) : matrix, rows, undefined)
      })
    }
  }

  /** What comes after the first layers: products of hidden layers that are bytes now. */
  function finish({ graph: target, replaced }: VariantGraph): void {
    const open = [...replaced].flatMap(([layer, name]) => (made.get(layer)!.hidden ? [name] : []))
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      for (const user of [...target.users(name)]) {
        if (user.opType === 'Split') {
          for (const part of user.output) {
            const { dims } = target.shapes.get(part)!
            target.shapes.set(part, { dtype: DataType.UINT8, dims })
            open.push(part)
          }
          continue
        }
        const replaced = quantiseProduct(target, user, name)
        if (replaced !== undefined) open.push(replaced)
      }
    }
    target.tidy()
  }

  /** A product of bytes; answers the bytes it leads to, if it leads to bytes. */
  function quantiseProduct(target: Graph, gemm: NodeProto, x: string): string | undefined {
    const { k, n, w, b } = weightsOf(target, gemm)
    const [relu] = target.users(gemm.output[0]!)
    const hidden = relu?.opType === 'Relu' && options.hidden.has(relu.output[0]!)
    const copies = hidden ? effort.copies : 1
    const matrix = toInt8(w, n, new Array<number>(k).fill(copies), !hidden && effort.refine === 'all')
    // Copies stand side by side: row i of the first, of the second, …
    const rows = Array.from({ length: k * copies }, (_, i) => (i % k) * copies + Math.floor(i / k))
    if (!hidden) {
      const product = toFloats(target, x, matrix, rows, b)
      drop(target, gemm, gemm.output[0]!, product)
      return undefined
    }
    const sums = Int32Array.from(b, (value, j) => Math.round(value / matrix.scale[j]!))
    const all = copies === 1 ? x : sideBySideCopies(target, x, copies, k)
    const bytes = toBytes(target, all, matrix, rows, target.constant('sums', sums, [n]))
    const name = relu.output[0]!
    target.nodes.splice(target.nodes.indexOf(gemm), 1)
    drop(target, relu, name, bytes)
    return bytes
  }
}

function drop(graph: Graph, node: NodeProto, output: string, replacement: string): void {
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  graph.replace(output, replacement)
}

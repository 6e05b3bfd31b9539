import { isGemm, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape, isOfItems } from '../ir/tensor-shape.ts'

/** The largest value of each column of a tensor, over some rows. */
export type Maxima = Map<string, Float32Array>

/** Steps of an unsigned byte. */
export const steps = 255

/**
 * Ratio of the representable range to the observed one. Measured on held-out rows: without it the worst errors, from
 * clipped values, are 5 times larger; it hardly increases typical errors.
 */
const headroom = 1.25

/** For items of lists and what follows from them: new rows exceed the range of a thousand by more. */
const listHeadroom = 1.6

/**
 * A column that was hardly ever positive gets this share of the other ranges, so that values of new rows are not
 * clipped.
 */
const least = 0.05

/**
 * The ReLUs between two products, whose outputs only products read, and which are no `edges` of regions. Their values
 * can be bytes.
 */
export function hiddenLayers(graph: Graph, edges: ReadonlySet<string> = new Set()): NodeProto[] {
  return graph.nodes.filter((node) => {
    const [x] = node.input
    const gemm = graph.producer(x!)
    return (
      node.opType === 'Relu' &&
      isGemm(graph, gemm) &&
      graph.isPrivate(x!, node) &&
      feedsProducts(graph, node.output[0]!, edges)
    )
  })
}

function feedsProducts(graph: Graph, name: string, edges: ReadonlySet<string>): boolean {
  if (graph.isOutput(name) || edges.has(name)) return false
  return graph.users(name).every((user) => {
    if (user.opType === 'Split') return user.output.every((part) => feedsProducts(graph, part, edges))
    return isGemm(graph, user) && user.input[0] === name
  })
}

/**
 * Scales every hidden unit so that 255 exceeds its largest value, and the weights that read it by the inverse. Since a
 * ReLU commutes with positive factors, the graph's outputs stay the same, and the scale 1 fits all units, so that units
 * of small range lose no precision.
 *
 * Returns the names of the scaled ReLUs' outputs.
 */
export function equalise(graph: Graph, maxima: Maxima, edges?: ReadonlySet<string>): Set<string> {
  const scaled = new Set<string>()
  const ofItems = itemsOf(graph)
  for (const { input, output } of hiddenLayers(graph, edges)) {
    const largest = maxima.get(output[0]!)
    const gemm = graph.producer(input[0]!)
    if (largest === undefined || gemm === undefined) continue
    const { k, n, w, b } = weightsOf(graph, gemm)
    const mean = largest.reduce((sum, value) => sum + value, 0) / n
    const floor = mean > 0 ? mean * least : 1
    const room = ofItems.has(output[0]!) ? listHeadroom : headroom
    const scales = Float64Array.from(largest, (value) => (Math.max(value, floor) * room) / steps)
    const name = gemm.input[1]!
    gemm.input = [
      gemm.input[0]!,
      graph.constant(
        `${name}/equalised`,
        w.map((value, i) => value / scales[i % n]!),
        [k, n],
      ),
      graph.constant(
        `${name}/equalised_bias`,
        b.map((value, j) => value / scales[j]!),
        [n],
      ),
    ]
    graph.touch()
    scaleReaders(graph, output[0]!, scales)
    scaled.add(output[0]!)
  }
  graph.tidy()
  return scaled
}

/** The items of lists as rows, [rows · items, n], and what follows from them. */
function itemsOf({ nodes, shapes }: Graph): Set<string> {
  const found = new Set<string>()
  for (const { input, output } of nodes)
    for (const name of output) if (input.some((from) => found.has(from)) || isOfItems(shapes.get(name))) found.add(name)
  return found
}

function scaleReaders(graph: Graph, name: string, scales: Float64Array): void {
  for (const user of graph.users(name)) {
    if (user.opType === 'Split') {
      let column = 0
      for (const part of user.output) {
        const width = graph.shapes.get(part)!.dims[1]!
        scaleReaders(graph, part, scales.subarray(column, column + width))
        column += width
      }
      continue
    }
    const { k, n, w } = weightsOf(graph, user)
    const weights = w.map((value, i) => value * scales[Math.floor(i / n)]!)
    const constant = graph.constant(`${user.input[1]}/equalised`, weights, [k, n])
    user.input = [user.input[0]!, constant, ...user.input.slice(2)]
    graph.shapes.set(user.output[0]!, graph.shapes.get(user.output[0]!) ?? floatShape(-1, n))
    graph.touch()
  }
}

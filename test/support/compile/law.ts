import type { Pass } from '../../../src/model/graph/compile/optimise.ts'
import type { Graph, Left } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { traceShapes } from '../../../src/model/graph/ir/shapes.ts'
import { floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import { fc, randomCases } from '../cases.ts'
import { Dice } from './dice.ts'
import { answersOf, answerWith, differenceOf, emptyGraph, feedsOf, operatorsOf, reread } from './run-graph.ts'

/** The graph that a pass gets: as it is read, with shapes known, and earlier passes done. */
export async function prepared(graph: Graph, earlier: Pass[] = []): Promise<Graph> {
  const read = reread(graph)
  await traceShapes(read)
  for (const pass of earlier) pass(read, new Map())
  return read
}

/** Sizes of the batches that answers are compared on. */
const batches = [1, 2, 7]

/**
 * How a change breaks the law that outputs stay the same, or what is said of shapes true; undefined where it doesn't.
 * `seed` chooses the rows.
 */
export async function breachOf(
  graph: Graph,
  change: (graph: Graph) => unknown,
  seed: number,
): Promise<string | undefined> {
  const dice = new Dice(seed)
  const feeds = batches.map((rows) => feedsOf(graph, rows, dice))
  const expected = await answersOf(graph, feeds)
  const before = operatorsOf(graph)
  await change(graph)
  const difference = differenceOf(expected, await answersOf(graph, feeds)) ?? (await wrongShape(graph))
  return difference && `${difference}\n${before}\n${operatorsOf(graph)}`
}

/** A shape that a graph says and ONNX Runtime doesn't. */
async function wrongShape(graph: Graph): Promise<string | undefined> {
  const traced = reread(graph)
  await traceShapes(traced)
  for (const [name, { dtype, dims }] of traced.shapes) {
    const said = graph.shapes.get(name)
    if (said === undefined) return `the shape of ${name}, of ${graph.producer(name)?.opType}, is not known`
    if (said.dtype !== dtype || said.dims.join() !== dims.join())
      return `${name} is said to be ${said.dtype} [${said.dims}] and is ${dtype} [${dims}]`
  }
  return undefined
}

/** Changes a graph; answers how many places were changed, and the reasons for those that were not. */
export function applied(graph: Graph, pass: Pass): { changes: number; reasons: string[] } {
  const left: Left = new Map()
  const changes = pass(graph, left)
  return { changes, reasons: [...left].map(([{ opType }, reason]) => `${opType}: ${reason}`) }
}

/** Holds a change to the law, over random graphs. */
export async function assertLaw(
  make: (seed: number) => Graph,
  change: (graph: Graph) => unknown,
  { earlier = [], runs = randomCases(60) }: { earlier?: Pass[]; runs?: number } = {},
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const breach = await breachOf(await prepared(make(seed), earlier), change, seed)
      if (breach !== undefined) throw new Error(breach)
    }),
    { numRuns: runs },
  )
}

/** A graph of x and y, float32 [batch, 6], and ids, int64 [batch, 2]; `write` answers the names of its outputs. */
export function smallGraph(write: (graph: Graph) => string | string[]): Graph {
  const graph = emptyGraph({
    x: floatShape(-1, 6),
    y: floatShape(-1, 6),
    ids: { dtype: DataType.INT64, dims: [-1, 2] },
  })
  answerWith(graph, ...[write(graph)].flat())
  return graph
}

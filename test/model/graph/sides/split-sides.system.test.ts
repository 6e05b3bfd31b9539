import t from 'tap'
import { multiplicationsOf, optimise } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import type { Side, Sides, SplitGraphs } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared, smallGraph } from '../../../support/compile/law.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import { answerWith, emptyGraph, reread } from '../../../support/compile/run-graph.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'

const all: Side[] = ['context', 'candidate', 'cross']
const widthOf = (graph: Graph, name: string) => graph.shapes.get(name)!.dims[1] ?? 1

/** A side for every column of every input. */
function randomSides(graph: Graph, dice: Dice): Sides {
  const possible = dice.pick([
    all,
    all,
    ['context', 'candidate'],
    ['candidate', 'cross'],
    ['context', 'cross'],
  ] as Side[][])
  return Object.fromEntries(
    graph.inputs.map(({ name }) => [name, Array.from({ length: widthOf(graph, name) }, () => dice.pick(possible))]),
  )
}

/** Everything that splitSides may say. */
const reason = /^no product of features|^no field belongs|^every field belongs/

t.test('answers the same by side, for any sides of any columns', async (t) => {
  const runs = randomCases(60)
  const split = { fresh: 0, known: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const dice = new Dice(seed)
      const graph = await prepared(randomGraph(seed, { wild: dice.chance(0.3) }))
      await optimise(graph)
      const sides = randomSides(graph, dice)
      const before = graph.toBytes()
      const plans = splitSides(graph, sides)
      if (!Buffer.from(before).equals(graph.toBytes())) throw new Error('the graph itself was changed')
      if (typeof plans === 'string') {
        if (!reason.test(plans)) throw new Error(plans)
        return
      }
      if (plans.shared_context) split.fresh++
      if (plans.cached) split.known++
      const breach = await breachOfPlans(graph, sides, plans, dice)
      if (breach !== undefined) throw new Error(breach)
    }),
    { numRuns: runs, seed: steadySeed },
  )
  t.ok(split.fresh > runs / 6 && split.known > runs / 12, 'most graphs are taken apart')
})

/** ids int64 [batch, 3] by one table, and x float32 [batch, 2] → two products of 5 and 4 columns. */
function twoProducts(): Graph {
  const dice = new Dice(7)
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 3] }, x: floatShape(-1, 2) })
  const rows = graph.node('Gather', [graph.constant('table', dice.floats(14), [7, 2]), 'ids'])
  const flat = graph.node('Reshape', [rows, graph.integers([-1, 6])])
  const features = graph.node('Concat', [flat, 'x'], { attributes: { axis: 1 } })
  const gemm = (n: number) => {
    const names = [graph.constant('kernel', dice.floats(8 * n), [8, n]), graph.constant('bias', dice.floats(n), [n])]
    return graph.node('Gemm', [features, ...names])
  }
  answerWith(graph, graph.node('Relu', [gemm(5)]), graph.node('Tanh', [gemm(4)]))
  return graph
}

t.test('computes the context once a request, and the candidates not at all where they are known', async (t) => {
  const graph = await prepared(twoProducts(), [canonicalise])
  const sides: Sides = { ids: ['context', 'candidate', 'context'], x: ['cross', 'candidate'] }
  const plans = splitSides(graph, sides)
  if (typeof plans === 'string') throw new Error(plans)
  t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
  t.same(
    plans.layers.map(({ width, context }) => [width, context]),
    [
      [5, 0],
      [4, 5],
    ],
  )
  t.same(plans.shared_context!.context, [{ name: 'multigate:context:ids', input: 'ids', columns: [0, 2] }])
  t.same(plans.shared_context!.rows, [
    { name: 'multigate:rows:ids', input: 'ids', columns: [1] },
    { name: 'multigate:rows:x', input: 'x', columns: [0, 1] },
  ])
  t.same(plans.candidate_encoder!.context, [])
  t.same(plans.candidate_encoder!.rows, [
    { name: 'multigate:rows:ids', input: 'ids', columns: [1] },
    { name: 'multigate:rows:x', input: 'x', columns: [1] },
  ])
  t.same(plans.cached!.rows, [{ name: 'multigate:rows:x', input: 'x', columns: [0] }])
  t.equal(multiplicationsOf(graph), 8 * 9)
  t.equal(multiplicationsOf(plans.shared_context!.graph), 4 * 9)
  t.equal(multiplicationsOf(plans.cached!.graph), 1 * 9)
  t.equal(multiplicationsOf(plans.candidate_encoder!.graph), 3 * 9)
  for (const plan of [plans.shared_context, plans.cached, plans.candidate_encoder])
    t.same(
      plan!.graph.inputs.map(({ name }) => name).filter((name) => !/^multigate:(requests|sum:\d)$/.test(name)),
      [...plan!.context, ...plan!.rows].map(({ name }) => name),
    )
})

t.test('has no plan for a context or for candidates that there are none of', async (t) => {
  const graph = await prepared(twoProducts(), [canonicalise])
  const only = (ids: Side, x: Side) => splitSides(graph, { ids: [ids, ids, ids], x: [x, x] }) as SplitGraphs
  const withoutContext = only('candidate', 'cross')
  t.equal(withoutContext.shared_context, undefined)
  t.equal(
    await breachOfPlans(
      graph,
      { ids: ['candidate', 'candidate', 'candidate'], x: ['cross', 'cross'] },
      withoutContext,
      new Dice(1),
    ),
    undefined,
  )
  t.same(withoutContext.cached!.context, [])
  const withoutCandidates = only('context', 'cross')
  t.equal(withoutCandidates.cached, undefined)
  t.equal(withoutCandidates.candidate_encoder, undefined)
  t.ok(withoutCandidates.shared_context)
  const withoutCross = only('context', 'candidate')
  t.same(withoutCross.cached!.rows, [])
})

const matrix = (g: Graph, k: number, n: number) => g.constant('kernel', new Dice(8).floats(k * n), [k, n])
const gemm = (g: Graph, x: string, k = 6, n = 3) => g.node('Gemm', [x, matrix(g, k, n)])
const sixOf = (side: Side): Side[] => Array.from({ length: 6 }, () => side)
const halves: Side[] = ['context', 'context', 'context', 'candidate', 'candidate', 'cross']

const whole: Record<string, [(g: Graph) => string | string[], Sides, string | RegExp]> = {
  'no product': [(g) => g.node('Relu', ['x']), { x: halves }, 'no product of features was found'],
  'a product of what mixes columns': [
    (g) => gemm(g, g.node('Softmax', ['x'])),
    { x: halves },
    /^no product of features was found: Softmax \S+ mixes columns before the first product; export the graph so/,
  ],
  'an input whose sides are not known': [
    (g) => gemm(g, g.node('Concat', ['x', 'y'], { attributes: { axis: 1 } }), 12),
    { x: halves },
    'the sides of the input y are not known',
  ],
  'a column whose side is not known': [
    (g) => gemm(g, 'x'),
    { x: halves.slice(0, 5) },
    'the sides of the input x are not known',
  ],
  'cross fields alone': [
    (g) => gemm(g, 'x'),
    { x: sixOf('cross') },
    'no field belongs only to the context or only to the candidate',
  ],
  'the context alone': [(g) => gemm(g, 'x'), { x: sixOf('context') }, 'every field belongs to the context'],
}
for (const [name, [write, sides, expected]] of Object.entries(whole))
  t.test(`says why it does not take apart ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write), [canonicalise])
    const answer = splitSides(graph, sides)
    if (typeof answer !== 'string') return t.fail('it was taken apart')
    t.match(answer, expected)
  })

t.test('computes once per request what depends on the context alone', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const encoded = g.node('Tanh', [gemm(g, g.node('Relu', [gemm(g, 'y')]), 3, 4)])
      const rows = g.node('Concat', [encoded, g.node('Relu', [gemm(g, 'x')])], { attributes: { axis: 1 } })
      return [gemm(g, rows, 7), g.node('Sigmoid', [encoded])]
    }),
    [canonicalise],
  )
  const sides: Sides = { x: halves, y: sixOf('context') }
  const plans = splitSides(graph, sides) as SplitGraphs
  t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
  t.ok(plans.cached)
  const { graph: shared, rows } = plans.shared_context!
  const ofRows = new Set(rows.map(({ name }) => name))
  const products = { requests: 0, rows: 0 }
  for (const { opType, input, output } of shared.nodes) {
    const perRow = input.some((name) => ofRows.has(name))
    if (perRow) for (const name of output) ofRows.add(name)
    if (opType === 'Gemm') products[perRow ? 'rows' : 'requests']++
  }
  t.same(products, { requests: 3, rows: 2 }, "the context's two layers and its share of the product of x")
})

t.test('an input whose rows are matrices', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 6), y: floatShape(-1, 2, 2) })
  const means = graph.node('ReduceMean', ['y'], { attributes: { axes: [1, 2], keepdims: 0 } })
  const sum = graph.node('Add', [gemm(graph, 'x'), graph.node('Unsqueeze', [means, graph.integers([1])])])
  answerWith(graph, sum)
  const sides: Sides = { x: halves, y: ['context', 'context', 'cross', 'cross'] }
  t.match(splitSides(await prepared(graph, [canonicalise]), sides), /^ReduceMean \S+ reads the input y too$/)
})

const read: Record<string, [(g: Graph) => string | string[], Sides]> = {
  'an input': [(g) => [gemm(g, 'x'), g.node('Sin', ['x'])], { x: halves }],
  features: [
    (g) => {
      const features = g.node('Concat', ['x', 'y'], { attributes: { axis: 1 } })
      return [gemm(g, features, 12), g.node('Softmax', [features])]
    },
    { x: halves, y: halves },
  ],
  'an input of candidates': [
    (g) => [gemm(g, 'x'), g.node('Sin', ['x'])],
    { x: [...sixOf('candidate').slice(1), 'cross'] },
  ],
}
for (const [name, [write, sides]] of Object.entries(read))
  t.test(`takes apart a graph where something else reads ${name} too`, async (t) => {
    const graph = await prepared(smallGraph(write), [canonicalise])
    const plans = splitSides(graph, sides)
    if (typeof plans === 'string') throw new Error(plans)
    t.ok(plans.cached)
    t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
  })

t.test('keeps the parts of the products that have a candidate', async (t) => {
  const graph = await prepared(
    smallGraph((g) => [g.node('Relu', [gemm(g, 'x')]), g.node('Relu', [gemm(g, 'y')])]),
    [canonicalise],
  )
  const sides: Sides = { x: halves, y: ['context', 'cross', 'cross', 'cross', 'cross', 'cross'] }
  const plans = splitSides(graph, sides) as SplitGraphs
  t.same(
    plans.layers.map(({ kept, context }) => [kept, context]),
    [
      [true, 0],
      [false, 3],
    ],
  )
  t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
})

t.test('takes apart a product that is itself an output, and keeps its name', async (t) => {
  const graph = await prepared(
    smallGraph((g) => gemm(g, 'x')),
    [canonicalise],
  )
  const plans = splitSides(graph, { x: halves }) as SplitGraphs
  t.equal(await breachOfPlans(graph, { x: halves }, plans, new Dice(1)), undefined)
  t.equal(plans.shared_context!.graph.outputs[0]!.name, graph.outputs[0]!.name)
})

t.test('takes columns in any order, and more than once', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const pick = (...columns: number[]) => g.node('Gather', ['x', g.integers(columns)], { attributes: { axis: 1 } })
      return [gemm(g, g.node('Concat', [pick(5, 0, 3, 3), 'y', pick(2, 5)], { attributes: { axis: 1 } }), 12)]
    }),
    [canonicalise],
  )
  const sides: Sides = { x: halves, y: halves.toReversed() }
  const plans = splitSides(graph, sides) as SplitGraphs
  t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
})

t.test('survives being saved', async (t) => {
  const graph = await prepared(twoProducts(), [canonicalise])
  const sides: Sides = { ids: ['context', 'candidate', 'cross'], x: ['candidate', 'context'] }
  const plans = splitSides(graph, sides) as SplitGraphs
  for (const plan of [plans.shared_context!, plans.cached!, plans.candidate_encoder!])
    Object.assign(plan, { graph: reread(plan.graph) })
  t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
})

t.test('splits what is computed of ids without a second dimension', async (t) => {
  const dice = new Dice(5)
  const graph = emptyGraph({ id: { dtype: DataType.INT64, dims: [-1] }, x: floatShape(-1, 2) })
  const id = graph.node('Cast', ['id'], { attributes: { to: DataType.INT32 } })
  const row = graph.node('Mod', [id, graph.constant('rows', Int32Array.of(5), [])])
  const looked = graph.node('Gather', [graph.constant('table', dice.floats(15), [5, 3]), row])
  const shifted = graph.node('Add', [looked, graph.node('Softmax', [looked])])
  const features = graph.node('Concat', ['x', shifted], { attributes: { axis: 1 } })
  const gemm = graph.node('Gemm', [features, graph.constant('kernel', dice.floats(20), [5, 4])])
  answerWith(graph, graph.node('Tanh', [gemm]))
  const read = await prepared(graph)
  await optimise(read)
  const sides: Sides = { id: ['candidate'], x: ['context', 'context'] }
  const plans = splitSides(read, sides)
  if (typeof plans === 'string') throw new Error(plans)
  t.equal(await breachOfPlans(read, sides, plans, new Dice(1)), undefined)
})

import t from 'tap'
import type { PassReport } from '../../../../src/model/contracts/compiled-plan.ts'
import { multiplicationsOf, optimise, passes, passReport } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { randomCases } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { assertLaw, breachOf, smallGraph } from '../../../support/compile/law.ts'
import { type Columns, randomGraph } from '../../../support/compile/random-graph.ts'
import {
  answersOf,
  answerWith,
  differenceOf,
  emptyGraph,
  feedsOf,
  operatorsOf,
  reread,
} from '../../../support/compile/run-graph.ts'
import { Writer } from '../../../support/compile/writer.ts'

const names = ['as saved', ...passes.map(([name]) => name)]
const gemm = (graph: Graph, x: string, k: number, n: number) =>
  graph.node('Gemm', [x, graph.constant('kernel', new Dice(1).floats(k * n), [k, n])])

t.test('changes no answer, whatever the graph', () =>
  assertLaw(randomGraph, (graph) => optimise(graph), { runs: randomCases(100) }),
)

/**
 * A multi-gate mixture of experts, `linear` ones of three layers with normalisation, on an embedding and dense fields.
 */
function mmoe(seed: number): Graph {
  const graph = emptyGraph({ ids: { dtype: 6, dims: [-1, 3] }, x: floatShape(-1, 2) })
  const write = new Writer(graph, new Dice(seed))
  const table = graph.constant('table', new Dice(seed).floats(28), [7, 4])
  const rows = { name: graph.node('Gather', [table, 'ids']), n: 12 }
  const projected = write.dense({ name: 'x', n: 2 }, 8)
  const features = write.concat([write.flatten(rows), projected])
  const layer = (input: Columns, n: number) => {
    const scaled = write.norm(write.dense(input, n))
    return { name: graph.node('Relu', [scaled.name]), n }
  }
  const experts = [0, 1, 2].map(() => write.dense(layer(layer(features, 6), 5), 4))
  const logits = [0, 1].map(() => {
    const mixed = write.mix(experts, write.softmax(write.dense(features, 3)), 'row')
    return write.dense(layer(mixed, 2), 1)
  })
  answerWith(graph, graph.node('Sigmoid', [write.concat(logits).name]))
  return graph
}

t.test('leaves eight products of an MMoE, however it is written', async (t) => {
  for (let seed = 0; seed < 10; seed++) {
    const graph = reread(mmoe(seed))
    const reports: PassReport[] = []
    t.equal(await breachOf(graph, async (graph) => reports.push(...(await optimise(graph))), seed), undefined)
    t.equal(
      operatorsOf(graph)
        .replace(/^Gather Reshape Concat/, 'Concat')
        .replace('Split ', ''),
      'Concat Gemm Reshape Softmax Gemm Relu Gemm Relu Gemm Reshape MatMul Reshape Relu Gemm Sigmoid',
    )
    t.same(
      reports.map(({ pass }) => pass),
      names,
    )
    t.same(
      reports.flatMap(({ left }) => left).filter((reason) => !reason.includes('folded')),
      [],
    )
    // Products by tensors that are no constants yet are not counted in a graph as saved.
    const [saved, canonical, , folded] = reports
    t.ok(folded!.multiplications < canonical!.multiplications)
    t.ok(reports.at(-1)!.nodes < saved!.nodes / 2)
  }
})

t.test('shows the graph after each pass, and answers the same reports', async (t) => {
  const graph = reread(mmoe(1))
  const seen: PassReport[] = []
  const reports = await optimise(graph, async (report, watched) => {
    t.equal(watched, graph)
    t.equal(report.nodes, watched.nodes.length)
    t.equal(report.multiplications, multiplicationsOf(watched))
    seen.push(report)
  })
  t.same(seen, reports)
})

t.test('leaves graphs alone', async (t) => {
  const old = emptyGraph({ x: floatShape(-1, 6) }, 12)
  answerWith(old, old.node('Relu', ['x']))
  await t.rejects(optimise(old), { message: 'its operator set is 12: 13 and later are compiled' })

  const large = emptyGraph({ x: floatShape(-1, 6) })
  let name = 'x'
  for (let i = 0; i < 2001; i++) name = large.node('Relu', [name], { outputs: [`relu:${i}`] })
  answerWith(large, name)
  await t.rejects(optimise(large), { message: 'it has 2001 nodes, more than 2000' })

  await t.rejects(optimise(smallGraph((g) => g.node('Nonsense', ['x']))), /Nonsense/)
})

t.test('takes no time for graphs whose paths double at every node', async (t) => {
  for (const [what, splits] of [
    ['sums', true],
    ['sums beside empty columns', false],
  ] as const) {
    const graph = emptyGraph({ x: floatShape(-1, 4) })
    let features = 'x'
    for (let i = 0; i < 60; i++) features = graph.node('Add', [features, features])
    const half = graph.constant('half', Float32Array.of(0.5), [1])
    // Halved as often, so that answers are numbers.
    for (let i = 0; i < 60; i++) features = graph.node('Mul', [features, half])
    if (!splits) {
      let nothing = graph.node('Slice', ['x', graph.integers([0]), graph.integers([0]), graph.integers([1])])
      for (let i = 0; i < 60; i++) nothing = graph.node('Concat', [nothing, nothing], { attributes: { axis: 1 } })
      features = graph.node('Concat', [features, nothing], { attributes: { axis: 1 } })
    }
    answerWith(graph, graph.node('Sigmoid', [gemm(graph, features, 4, 2)]))
    const feeds = [feedsOf(graph, 5, new Dice(1))]
    const expected = await answersOf(graph, feeds)
    const read = reread(graph)
    await optimise(read)
    t.equal(differenceOf(expected, await answersOf(read, feeds)), undefined, what)
    const split = splitSides(read, { x: ['context', 'candidate', 'candidate', 'cross'] })
    t.equal(typeof split, splits ? 'object' : 'string', what)
  }
})

t.test('leaves alone what would take long', async (t) => {
  const wide = emptyGraph({ x: floatShape(-1, 200_000) })
  answerWith(wide, wide.node('Relu', ['x']))
  await t.rejects(optimise(wide), { message: 'the input x is 200000 wide, more than 100000' })
  const deep = emptyGraph({ x: floatShape(-1, 1700) })
  const weights = () => deep.constant('w', new Float32Array(1700 * 1700), [1700, 1700])
  answerWith(deep, deep.node('Gemm', [deep.node('Gemm', [deep.node('Relu', ['x']), weights()]), weights()]))
  const reports = await optimise(reread(deep))
  t.match(reports.find(({ pass }) => pass === 'fold linear')!.left, [
    /folding takes 4913000000 multiplications, more than/,
  ])
})

t.test('tells what was left alone, and counts what is too much to tell', (t) => {
  const graph = smallGraph((g) => g.node('Relu', ['x']))
  const left = (count: number) =>
    passReport(
      graph,
      'a pass',
      0,
      new Map(Array.from({ length: count }, (_, i) => [{ ...graph.nodes[0]!, name: `${i}` }, `why ${i}`])),
    ).left
  t.same(left(0), [])
  t.same(left(2), ['Relu 0: why 0', 'Relu 1: why 1'])
  t.equal(left(20).length, 20)
  t.same(left(25).slice(19), ['Relu 19: why 19', 'and 5 more'])
  const unnamed = passReport(graph, 'a pass', 0, new Map([[{ ...graph.nodes[0]!, name: '' }, 'why']]))
  t.same(unnamed.left, ['Relu relu: why'])
  const alike = new Map(['a', 'b', 'c'].map((name) => [{ ...graph.nodes[0]!, name }, 'why']))
  t.same(passReport(graph, 'a pass', 0, alike).left, ['Relu a and 2 more: why'], 'one reason is reported once')
  t.end()
})

t.test('counts multiplications a row, and bytes', (t) => {
  const graph = smallGraph((g) => g.node('Add', [gemm(g, 'x', 6, 4), g.node('MatMul', ['x', 'y'])]))
  t.equal(multiplicationsOf(graph), 24, 'whose shape is not known counts once; what is computed twice, not')
  graph.shapes.set('gemm', floatShape(-3, 4))
  t.equal(multiplicationsOf(graph), 72)
  graph.shapes.set('gemm', floatShape(-1, 5, 4))
  t.equal(multiplicationsOf(graph), 120)
  graph.shapes.set('gemm', floatShape(1, 4))
  t.equal(multiplicationsOf(graph), 0, 'what is computed once a request')
  graph.integers([1, 2])
  graph.constant('narrow', Int8Array.of(1, 2, 3), [3])
  graph.constant('ids', Int32Array.of(1), [])
  t.equal(passReport(graph, 'a pass', 3).bytes, 24 * 4 + 2 * 8 + 3 + 4)
  t.equal(passReport(graph, 'a pass', 3).changes, 3)
  t.end()
})

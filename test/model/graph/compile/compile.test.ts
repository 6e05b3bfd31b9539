import t from 'tap'
import { compile } from '../../../../src/model/graph/compile/compile.ts'
import type { CompiledGraph } from '../../../../src/model/graph/compile/compiled-graph.ts'
import { limits, logitsOf, meanShift } from '../../../../src/model/graph/int8/judge.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  buildModel,
  distance,
  exampleModel,
  quantizationOf,
  rowsOf,
  savedAnswers,
  sidesOf,
} from '../../../support/compile/random-model.ts'
import { reread } from '../../../support/compile/run-graph.ts'

/** The example; its answers differ `factor` times as much from row to row, and so by int8. */
function exampleGraph(factor = 1): Graph {
  const graph = buildModel(exampleModel)
  for (const { name, rawData } of graph.constants.values())
    if (/^logit.*kernel/.test(name)) {
      const weights = new Float32Array(rawData.buffer as ArrayBuffer, rawData.byteOffset, rawData.byteLength / 4)
      for (let i = 0; i < weights.length; i++) weights[i]! *= factor
    }
  return reread(graph)
}

const sides = sidesOf(exampleModel)

async function compiledWith(factor: number): Promise<NonNullable<CompiledGraph['int8']>> {
  const graph = exampleGraph(factor)
  const quantization = await quantizationOf(exampleModel, graph, 300)
  quantization.judged.labels = undefined
  const { int8 } = await compile(graph, { sides, fields: {}, quantization })
  return int8!
}

t.test('without quantization rows there is no int8, and no problem', async (t) => {
  const compiled = await compile(exampleGraph(), { sides, fields: {}, quantization: undefined })
  t.equal(compiled.int8, undefined)
  t.equal(compiled.int8Problem, undefined)
  t.equal(compiled.passes[0]?.pass, 'as saved')
  t.ok(typeof compiled.float32.split !== 'string' && compiled.float32.split.cached)
  const rows = rowsOf(exampleModel, 20, 1)
  const { graph } = compiled.float32.full
  t.ok(distance(await savedAnswers(graph, rows), await savedAnswers(exampleGraph(), rows)) < 1e-6)
})

t.test('without sides nothing is taken apart', async (t) => {
  const quantization = await quantizationOf(exampleModel, exampleGraph(), 100)
  const compiled = await compile(exampleGraph(), { sides: undefined, fields: {}, quantization })
  t.equal(compiled.float32.split, 'the sides of the fields are not known')
  t.equal(compiled.int8?.split, 'the sides of the fields are not known')
})

t.test('as much is spent on exactness as the check asks for, and no more', async (t) => {
  const rank = ({ copies, refine, spread }: { copies: number; refine: string; spread: number }) =>
    copies * 10 + ['none', 'gates', 'all'].indexOf(refine) + 1 / spread
  let former = 0
  const taken = new Set<number>()
  for (const factor of [1, 3, 6, 12, 1000]) {
    const int8 = await compiledWith(factor)
    const effort = rank(int8.effort)
    t.ok(effort >= former, `factor ${factor}: ${JSON.stringify(int8.effort)}`)
    former = effort
    taken.add(effort)
    t.equal(int8.verdict?.passed, factor < 1000)
    t.same(
      int8.passes.map(({ pass }) => pass),
      ['equalise', 'quantise'],
    )
  }
  t.ok(taken.size >= 3, `${taken.size} different efforts`)
})

t.test('what fails with every effort says on what', async (t) => {
  const { verdict } = await compiledWith(1000)
  t.match(verdict?.reasons[0], /^task0: logit_p99 is \d.*, more than 0\.05$/)
  t.ok(verdict!.tasks[0]!.logit_p99 > limits.logit_p99)
})

t.test('what rounding adds to every row is taken out', async (t) => {
  const quantization = await quantizationOf(exampleModel, exampleGraph(), 300)
  const { float32, int8 } = await compile(exampleGraph(), { sides, fields: {}, quantization })
  const [expected, actual] = [
    await logitsOf(float32.full, quantization.scales),
    await logitsOf(int8!.full, quantization.scales),
  ]
  for (const shift of meanShift(expected, actual, 2)) t.ok(Math.abs(shift) < 1e-5, `${shift}`)
})

t.test('a plan that is not judged takes the least effort', async (t) => {
  const { scales } = await quantizationOf(exampleModel, exampleGraph(), 100)
  const { int8 } = await compile(exampleGraph(1000), { sides, fields: {}, quantization: { scales, judged: undefined } })
  t.equal(int8?.verdict, undefined)
  t.same(int8?.effort, { spread: 4, copies: 1, refine: 'none' })
})

t.test('rows that lack an input make int8 a problem, and float32 none', async (t) => {
  const { rows, inputs } = rowsOf(exampleModel, 10, 1)
  const scales = { rows, inputs: { sparse: inputs.sparse! } }
  const compiled = await compile(exampleGraph(), { sides, fields: {}, quantization: { scales, judged: undefined } })
  t.equal(compiled.int8, undefined)
  t.equal(compiled.int8Problem, 'there are no values of the input dense')
})

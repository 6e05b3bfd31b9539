import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createProgram, openSmallGraph, translateGraph } from '../../../../src/model/engines/small/small-graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { Tables } from '../../../../src/model/graph/rows/tables.ts'
import { Translation } from '../../../../src/model/graph/rows/translation.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import {
  buildModel,
  distance,
  exampleModel,
  randomModel,
  rowsOf,
  savedAnswers,
  withPlan,
} from '../../../support/compile/random-model.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

const folder = await temporaryFolder(t)

t.test('a small graph answers as the saved one, for whatever is compiled', async (t) => {
  const runs = randomCases(100)
  let opened = 0
  const reasons = new Set<string>()
  await fc.assert(
    fc.asyncProperty(randomModel, fc.integer({ min: 1, max: 9 }), fc.nat(), async (model, rows, seed) => {
      await withPlan(model, folder, async (plan) => {
        const small = await openSmallGraph(plan)
        if (typeof small === 'string') {
          reasons.add(small)
          return
        }
        opened++
        // Twice: what was computed before must not matter.
        for (const batch of [rowsOf(model, rows, seed), rowsOf(model, rows, seed + 1)]) {
          const apart = distance(await savedAnswers(buildModel(model), batch), small.run(batch))
          if (!(apart <= 1e-5)) throw new Error(`answers are ${apart} apart`)
        }
      })
    }),
    { numRuns: runs, seed: steadySeed },
  )
  t.ok(opened >= 0.9 * runs, `${opened} of ${runs} were opened: ${[...reasons]}`)
})

t.test('an id that a table does not have is refused, and the graph stays of use', async (t) => {
  await withPlan(exampleModel, folder, async (plan) => {
    const small = await openSmallGraph(plan)
    if (typeof small === 'string') throw new Error(small)
    const batch = rowsOf(exampleModel, 2, 1)
    const before = small.run(batch).slice()
    for (const id of [1000, -1000]) {
      const wrong = rowsOf(exampleModel, 2, 1)
      wrong.inputs.sparse![4] = id
      t.throws(() => small.run(wrong), { name: 'RangeError' }, `${id}`)
    }
    t.same(small.run(batch), before)
  })
})

t.test('a graph that computes much is not even read', async (t) => {
  await withPlan(exampleModel, folder, async (plan) => {
    const passes = plan.description.passes.map((pass) => ({ ...pass, multiplications: 2 ** 20 }))
    const large = { ...plan, folder: join(plan.folder, 'none'), description: { ...plan.description, passes } }
    t.equal(await openSmallGraph(large), 'a row takes 1048576 multiplications')
  })
})

t.test('a plan whose file is gone is reported, not taken for a graph that is not small', async (t) => {
  await withPlan(exampleModel, folder, async (plan) => {
    await t.rejects(openSmallGraph({ ...plan, folder: join(plan.folder, 'none') }), { code: 'ENOENT' })
    t.type(await readFile(join(plan.folder, plan.description.float32.full.file)), Buffer)
  })
})

t.test('what is not computed row by row is named', async (t) => {
  const weights = (graph: ReturnType<typeof emptyGraph>, dims: number[]) =>
    graph.constant('w', new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(0.5), dims)
  const cases: [string, RegExp, (graph: ReturnType<typeof emptyGraph>) => string][] = [
    ['another operator', /Erf is not translated/, (graph) => graph.node('Erf', ['x'])],
    ['a custom one', /Gelu is not translated/, (graph) => graph.node('Gelu', ['x'], { domain: 'com.microsoft' })],
    ['a sum over the batch', /ReduceSum/, (graph) => graph.node('ReduceSum', ['x'])],
    ['a softmax over the batch', /inner axis/, (graph) => graph.node('Softmax', ['x'], { attributes: { axis: 0 } })],
    ['rows joined', /joins rows/, (graph) => graph.node('Flatten', ['x'], { attributes: { axis: 0 } })],
    ['rows moved', /Reshape to/, (graph) => graph.node('Reshape', ['x', graph.integers([2, -1])])],
    ['a batch cut', /is the rows/, (graph) => graph.node('Slice', ['x', ...[0, 1, 0].map((i) => graph.integers([i]))])],
    ['batches joined', /is the rows/, (graph) => graph.node('Concat', ['x', 'x'], { attributes: { axis: 0 } })],
    [
      'a transposed product',
      /transposed/,
      (graph) => graph.node('Gemm', ['x', weights(graph, [3, 4])], { attributes: { transB: 1 } }),
    ],
    ['what is the same for all', /same for all rows/, (graph) => graph.node('Identity', [weights(graph, [1, 4])])],
    ['a wider constant', /wider constant/, (graph) => graph.node('Add', ['x', weights(graph, [2, 4])])],
  ]
  for (const [name, message, write] of cases) {
    const graph = emptyGraph({ x: floatShape(4) })
    answerWith(graph, write(graph))
    const translation = new Translation({ graph, program: createProgram(), tables: new Tables() })
    translation.set('x', translation.result('rows', [4], 'float32'))
    t.throws(() => translateGraph(translation, graph.outputs[0]!.name), { message }, name)
  }
})

import t from 'tap'
import { Violations } from '../../../../src/model/serving/features/problems.ts'
import { createPlanner } from '../../../../src/model/serving/prediction/request-plan.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import type { PredictOptions } from '../../../../src/schemas/predict.ts'
import { exampleManifest, gatedManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

/** A planner that throws what is wrong. */
function plannerOf(manifest: Manifest) {
  const planner = createPlanner(manifest)
  return (tasks: string[] | undefined, options: PredictOptions) => {
    const problems = new Violations()
    const plan = planner(tasks, options, problems)
    problems.throwIfAny()
    return plan
  }
}

const plan = plannerOf(exampleManifest())
const gated = plannerOf(gatedManifest())

t.test('by default all tasks are answered, derived ones too, and probabilities alone computed', async (t) => {
  t.same(plan(undefined, {}), {
    tasks: ['ctr', 'cvr', 'ctcvr'],
    raw: [],
    gates: [],
    rank: undefined,
    partial: false,
    features: false,
    outputs: ['p'],
  })
})

t.test('tasks are answered in the order asked for', async (t) => {
  t.same(plan(['ctcvr', 'ctr'], {}).tasks, ['ctcvr', 'ctr'])
})

t.test('requests that want the same share one list of outputs', async (t) => {
  t.equal(plan(['ctr'], {}).outputs, plan(undefined, { raw: true }).outputs)
  t.equal(gated(['ctr'], { gates: true }).outputs, gated(undefined, { gates: true }).outputs)
})

t.test('a task that the model does not have is refused, every one', async (t) => {
  t.same(
    problemsOf(() => plan(['ctr', 'like', 'constructor'], {})),
    [
      '/tasks/1 is no task of this model; it has ctr, cvr, ctcvr',
      '/tasks/2 is no task of this model; it has ctr, cvr, ctcvr',
    ],
  )
})

t.test('raw probabilities are those of the tasks asked for', async (t) => {
  t.same(plan(['cvr'], { raw: true }).raw, ['cvr'])
})

t.test('raw probabilities of a derived task are those of its factors', async (t) => {
  t.same(plan(['ctcvr'], { raw: true }).raw, ['ctr', 'cvr'])
})

t.test('gates are those of the tasks asked for', async (t) => {
  const { gates, outputs } = gated(['cvr'], { gates: true })
  t.same(gates, [['cvr', 'gate_cvr']])
  t.same(outputs, ['p', 'gate_ctr', 'gate_cvr'])
})

t.test('tasks without a gate have none to answer', async (t) => {
  const { graph } = exampleManifest()
  const outputs = { ...graph.outputs, gates: { cvr: 'g' } }
  const tasks = [{ name: 'cvr' }, { name: 'constructor' }]
  const plan = plannerOf(exampleManifest({ graph: { ...graph, outputs }, tasks, derived: [] }))
  t.same(plan(undefined, { gates: true }).gates, [['cvr', 'g']])
})

t.test('tasks that share a gate compute it once', async (t) => {
  const { graph } = exampleManifest()
  const outputs = { ...graph.outputs, gates: { ctr: 'g', cvr: 'g' } }
  const plan = plannerOf(exampleManifest({ graph: { ...graph, outputs } }))
  t.same(plan(undefined, { gates: true }).outputs, ['p', 'g'])
})

t.test('gates of a model without gates are refused', async (t) => {
  t.same(
    problemsOf(() => plan(undefined, { gates: true })),
    ['/options/gates is not possible: the model has no gates'],
  )
})

t.test('options set to false ask for nothing', async (t) => {
  t.same(plan(undefined, { gates: false, raw: false }), plan(undefined, {}))
})

t.test('ranking by a task goes by that task', async (t) => {
  t.same(plan(undefined, { rank: { by: 'cvr' } }).rank, {
    tasks: ['cvr'],
    bids: false,
    topK: Number.POSITIVE_INFINITY,
  })
})

t.test('ranking by a derived task goes by that task, which may have a calibration', async (t) => {
  t.same(plan(['ctr'], { rank: { by: 'ctcvr', top_k: 3 } }).rank, { tasks: ['ctcvr'], bids: false, topK: 3 })
})

t.test('ecpm is click times conversion times bid', async (t) => {
  t.same(plan(['ctr'], { rank: { by: 'ecpm', top_k: 1 } }).rank, { tasks: ['ctcvr'], bids: true, topK: 1 })
  const factors = plannerOf(exampleManifest({ derived: [{ name: 'other', product: ['cvr'] }] }))
  t.same(
    factors(undefined, { rank: { by: 'ecpm' } }).rank?.tasks,
    ['ctr', 'cvr'],
    'without a task that is their product',
  )
})

t.test('ecpm is click times bid where there is no conversion', async (t) => {
  const plan = plannerOf(exampleManifest({ tasks: [{ name: 'like' }, { name: 'ctr' }], derived: [] }))
  t.same(plan(undefined, { rank: { by: 'ecpm' } }).rank?.tasks, ['ctr'])
})

t.test('ecpm without a click is refused', async (t) => {
  const plan = plannerOf(exampleManifest({ tasks: [{ name: 'cvr' }], derived: [] }))
  t.same(
    problemsOf(() => plan(undefined, { rank: { by: 'ecpm' } })),
    [
      '/options/rank/by ecpm needs a task named ctr, and multiplies it by cvr where there is one: this model has cvr; name the probability of a click ctr, and of a conversion after it cvr, in its manifest',
    ],
  )
})

t.test('ranking by what is no task is refused', async (t) => {
  t.same(
    problemsOf(() => plan(undefined, { rank: { by: 'toString' } })),
    ['/options/rank/by is no task of this model; it has ctr, cvr, ctcvr, ecpm'],
  )
})

t.test('all that is wrong is told at once', async (t) => {
  t.same(
    problemsOf(() => plan(['x'], { gates: true, rank: { by: 'y' } })).map((problem) => problem.split(' ')[0]),
    ['/tasks/0', '/options/gates', '/options/rank/by'],
  )
})

t.test('an unknown name says which was probably meant, ecpm among them', async (t) => {
  t.same(
    problemsOf(() => plan(['crt'], { rank: { by: 'epcm' } })),
    [
      '/tasks/0 is no task of this model; did you mean "ctr"? It has ctr, cvr, ctcvr',
      '/options/rank/by is no task of this model; did you mean "ecpm"? It has ctr, cvr, ctcvr, ecpm',
    ],
  )
})

t.test('at most twenty names are listed', async (t) => {
  const tasks = Array.from({ length: 30 }, (_, i) => ({ name: `task_${i}` }))
  const [problem] = problemsOf(() => plannerOf(exampleManifest({ tasks, derived: [] }))(['x'], {}))
  t.match(problem, /task_18, task_19 and 10 more$/)
})

t.test('the search ends at the hundredth problem', async (t) => {
  let visited = 0
  const tasks = new Proxy(
    Array.from({ length: 500 }, () => 'x'),
    {
      get(all, key) {
        if (/^\d+$/.test(String(key))) visited++
        return Reflect.get(all, key)
      },
    },
  )
  t.equal(problemsOf(() => plan(tasks, {})).length, 100)
  t.ok(visited <= 101, `${visited} visited`)
})

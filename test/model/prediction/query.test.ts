import t from 'tap'
import { createPlanner } from '../../../src/model/prediction/query.ts'
import { exampleManifest, gatedManifest } from '../../fakes/manifest.ts'
import { problemsOf } from '../features/problems-of.ts'

const plan = createPlanner(exampleManifest())
const gated = createPlanner(gatedManifest())

t.test('by default all tasks are answered, derived ones too, and probabilities alone computed', async (t) => {
  t.same(plan(undefined, {}), {
    tasks: ['ctr', 'cvr', 'ctcvr'],
    raw: [],
    gates: [],
    rank: undefined,
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
  const plan = createPlanner(exampleManifest({ graph: { ...graph, outputs }, tasks, derived: [] }))
  t.same(plan(undefined, { gates: true }).gates, [['cvr', 'g']])
})

t.test('tasks that share a gate compute it once', async (t) => {
  const { graph } = exampleManifest()
  const outputs = { ...graph.outputs, gates: { ctr: 'g', cvr: 'g' } }
  const plan = createPlanner(exampleManifest({ graph: { ...graph, outputs } }))
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

t.test('ranking by a derived task goes by its factors', async (t) => {
  t.same(plan(['ctr'], { rank: { by: 'ctcvr', top_k: 3 } }).rank, { tasks: ['ctr', 'cvr'], bids: false, topK: 3 })
})

t.test('ecpm is click times conversion times bid', async (t) => {
  t.same(plan(['ctr'], { rank: { by: 'ecpm', top_k: 1 } }).rank, { tasks: ['ctr', 'cvr'], bids: true, topK: 1 })
})

t.test('ecpm is click times bid where there is no conversion', async (t) => {
  const plan = createPlanner(exampleManifest({ tasks: [{ name: 'like' }, { name: 'ctr' }], derived: [] }))
  t.same(plan(undefined, { rank: { by: 'ecpm' } }).rank?.tasks, ['ctr'])
})

t.test('ecpm without a click is refused', async (t) => {
  const plan = createPlanner(exampleManifest({ tasks: [{ name: 'cvr' }], derived: [] }))
  t.same(
    problemsOf(() => plan(undefined, { rank: { by: 'ecpm' } })),
    ['/options/rank/by ecpm needs a task called ctr, which this model has not'],
  )
})

t.test('ranking by what is no task is refused', async (t) => {
  t.same(
    problemsOf(() => plan(undefined, { rank: { by: 'toString' } })),
    ['/options/rank/by is no task of this model; it has ctr, cvr, ctcvr'],
  )
})

t.test('all that is wrong is told at once', async (t) => {
  t.same(
    problemsOf(() => plan(['x'], { gates: true, rank: { by: 'y' } })).map((problem) => problem.split(' ')[0]),
    ['/tasks/0', '/options/gates', '/options/rank/by'],
  )
})

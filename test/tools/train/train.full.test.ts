import t from 'tap'
import type { EvaluationReport } from '../../../src/schemas/evaluation.ts'
import type { EpochReport, FitObserver } from '../../../src/tools/train/fit.ts'
import { tinySpec } from '../../support/tiny.ts'
import { trainTiny } from '../../support/train-tiny.ts'

/* Trainings that train.system.test.ts has one of its kind of. */

t.test('tasks that share nothing keep an epoch each', async (t) => {
  const architecture = { name: 'single_task', dim_emb: 4, num_hidden_tasks: 2, dim_hidden_tasks: 8 }
  const training = { ...tinySpec().training, epochs: 5, learning_rate: 0.03, patience: 5 }
  const epochs: EpochReport[] = []
  const observer: FitObserver = { step() {}, epoch: (report) => epochs.push(report) }
  const own = await trainTiny(t.testdir({}), { architecture, training }, { observer })
  const { kept } = own.fitted
  t.ok(kept.tasks && kept.tasks.ctr !== kept.tasks.cvr, JSON.stringify(kept))
  t.equal(kept.epoch, Math.max(...Object.values(kept.tasks!)))
  // Each is the network that stands at its best when the other is not looked at.
  for (const task of ['ctr', 'cvr']) {
    const select = `${task}.normalised_entropy`
    const alone = await trainTiny(t.testdir({}), { architecture, training: { ...training, select } })
    t.equal(alone.fitted.kept.epoch, kept.tasks![task])
    const [a, b] = [own, alone].map(({ report }) => report.tasks.find(({ name }) => name === task)!.metrics.auc.value)
    t.equal(a, b)
  }
})

t.test('dense fields alone, sparse fields alone', async (t) => {
  const { fields } = tinySpec()
  const one = { epochs: 1, batch_size: 239, learning_rate: 0.01, shuffle: false }
  const sparse = await trainTiny(t.testdir({}), { fields: fields.slice(0, 3), training: one })
  const dense = await trainTiny(t.testdir({}), { fields: fields.slice(3), training: one, version: 7 })
  t.match(dense.folder, /tiny\/7$/)
  t.ok(sparse.report.tasks[0]!.metrics.auc.value !== null && dense.report.tasks[0]!.metrics.auc.value !== null)
})

t.test('negatives that stand for several give the predictions of all rows', async (t) => {
  const [ctr] = tinySpec().tasks
  // Half of the negatives count twice, so that predictions are those of all rows.
  const folder = t.testdir({})
  const sampled = [{ ...ctr, negatives_kept: 0.5 }]
  const spec = { tasks: sampled, derived: [], training: { ...tinySpec().training, epochs: 8 } }
  const { report: weighted } = await trainTiny(folder, spec)
  const { report: plain } = await trainTiny(folder, {
    ...spec,
    tasks: [{ ...ctr, calibration: undefined }],
    version: 2,
  })
  const ratio = ({ tasks }: EvaluationReport) => tasks[0]!.metrics.calibration_ratio.value!
  t.ok(ratio(weighted) > 0.7 && ratio(weighted) < 1.4, `${ratio(weighted)}`)
  t.ok(ratio(plain) > 0.7 && ratio(plain) < 1.4, `${ratio(plain)}`)
  const rateOf = ({ tasks }: EvaluationReport) => tasks[0]!.base_rate!
  t.ok(rateOf(weighted) < 0.8 * rateOf(plain), 'the rates are not the same')
})

t.test('more threads than a step has pairs of rows', async (t) => {
  const lines: string[] = []
  const training = { ...tinySpec().training, batch_size: 7 }
  const { report } = await trainTiny(t.testdir({}), { training }, { threads: 9, log: (line) => lines.push(line) })
  t.ok(lines.includes('steps of 7 rows are divided among 3 threads at most'))
  t.ok(report.tasks[0]!.metrics.auc.value !== null)
})

t.test('isotonic regression of few positives is left out', async (t) => {
  const lines: string[] = []
  const [ctr] = tinySpec().tasks
  const tasks = [{ ...ctr, calibration: 'isotonic' }]
  await trainTiny(t.testdir({}), { tasks, derived: [] }, { log: (line) => lines.push(line) }, 1200)
  t.match(
    lines.filter((line) => line.startsWith('calibration')),
    [/^calibration of ctr omitted: isotonic regression needs 1,000 positives, and there are \d+$/],
  )
})

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Progress } from '../../../src/base/progress.ts'
import { readEvaluation } from '../../../src/model/serving/bundle/evaluation.ts'
import { readQuantizationRows } from '../../../src/model/serving/bundle/quantization.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import type { EvaluationReport } from '../../../src/schemas/evaluation.ts'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { chooseRows } from '../../../src/tools/data/quantization-rows.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import type { EpochReport, FitObserver } from '../../../src/tools/train/fit.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { withoutBfloat16 } from '../../support/onednn.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainTiny } from '../../support/train-tiny.ts'
import { copyTrainedTiny, trainedTiny } from '../../support/trained.ts'

type Judged = EvaluationReport['tasks'][number]

const folder = await temporaryFolder(t)
const epochs: EpochReport[] = []
const observer: FitObserver = { step() {}, epoch: (report) => epochs.push(report) }
const whole = await trainTiny(folder, {}, { observer, brief: false })

t.test('writes a version that can be read, with quality, golden rows and provenance', async (t) => {
  const { report } = whole
  const bundle = await readBundle(join(folder, 'models'), 'tiny', '1')
  const { manifest } = bundle
  t.match(manifest, {
    name: 'tiny',
    description: 'Clicks on coloured things',
    tasks: [{ name: 'ctr', description: 'Clicked', calibration: { method: 'platt' } }, { name: 'cvr' }],
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
    graph: {
      format: 'layers',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: { probabilities: 'probabilities', logits: 'logits', gates: { ctr: 'gate_ctr', cvr: 'gate_cvr' } },
    },
    precision: 'float32',
    quantization: { file: 'quantization.bin', rows: 120, labels: true },
    provenance: {
      created: '1970-01-01T00:00:00.000Z',
      command: 'multigate train tiny',
      data: 'tiny.csv',
      seed: 3,
      epochs: 2,
      kept: { epoch: 2, metric: 'mean normalised entropy', value: Number },
      rows: { train: 360, validation: 120, test: 120 },
      threads: 1,
      engine: 'onnxruntime',
    },
  })
  t.notOk(manifest.tasks[1]!.calibration)
  t.equal(manifest.golden!.rows.length, 8)
  t.same(Object.keys(manifest.golden!.rows[0]!), ['colour', 'shop', 'hour', 'size', 'is_red'])
  t.same(Object.keys(manifest.quality!), ['ctr', 'cvr', 'ctcvr'])
  const [ctr, cvr, ctcvr] = report.tasks as [Judged, Judged, Judged]
  t.equal(manifest.quality!.ctr!.auc, ctr.metrics.auc.value)
  t.ok(ctr.metrics.auc.value !== null)
  const kept = (await readEvaluation(bundle))!
  t.same([kept.tasks.length, kept.tasks[0]!.rows, kept.model.version], [3, 120, '1'], 'the report is among its files')
  t.ok(Math.abs(kept.tasks[0]!.metrics.auc.value! - ctr.metrics.auc.value!) < 1e-6)
  t.ok(cvr.rows < ctr.rows, 'cvr is judged on clicks alone')
  t.equal(ctcvr.rows, 120, 'ctcvr on all rows')
  t.equal(report.history!.length, 2)
  t.equal(epochs.length, 2)
  t.ok(epochs[1]!.loss < epochs[0]!.loss, 'it learns')
  t.same(await readdir(join(folder, 'models/tiny')), ['1'], 'nothing is left beside it')
})

t.test('keeps the validation rows with their labels for int8, whatever the precision', async (t) => {
  const folder = t.testdir({})
  const training = { ...tinySpec().training, seed: 4 }
  const other = await trainTiny(folder, { precision: 'int8', keep_precision: true, version: 2, training })
  const weights = await Promise.all([whole, other].map(({ folder }) => readFile(join(folder!, 'group1-shard1of1.bin'))))
  t.notOk(weights[0]!.equals(weights[1]!), 'another seed gives another model')
  const bundle = await readBundle(join(folder, 'models'), 'tiny', '2')
  t.match(bundle.manifest, { precision: 'int8', keep_precision: true })
  const { rows, sparse, dense, labels } = (await readQuantizationRows(bundle))!
  t.same([rows, sparse.length, dense.length, labels!.length], [120, 120 * 3, 120 * 2, 120 * 2])

  const loaded = await readSpec(join(folder, 'spec.yaml'), specs)
  const dataset = await readDataset(loaded, readingsOf(loaded.spec.fields))
  const places = chooseRows(120, 120)
  const [ctr, cvr] = dataset.labels as [Int8Array, Int8Array]
  for (let i = 0; i < rows; i++) {
    const row = dataset.parts.validation[places[i]!]!
    t.equal(dense[i * 2 + 1], dataset.cells[4]!.at(row), `is_red of row ${row}`)
    t.same([labels![i * 2], labels![i * 2 + 1]], [ctr[row], ctr[row] ? cvr[row] : Number.NaN])
  }
})

t.test('a condition that this machine can not check is refused before the training', async (t) => {
  const missing = withoutBfloat16()
  const trained = trainTiny(t.testdir({}), { publish: { bfloat16: true } })
  if (missing === undefined) t.match((await trained).report.publish?.conditions, [{ condition: /^bfloat16 / }])
  else await t.rejects(trained, { message: /\/publish\/bfloat16 can't be checked on this machine: / })
})

t.test('not_worse compares with the version that is replaced or continued, else the highest', async (t) => {
  const folder = await copyTrainedTiny(t)
  const publish = { not_worse: true }
  const { report } = await trainTiny(folder, { publish, description: 'new' }, { force: true })
  t.equal((await readBundle(join(folder, 'models'), 'tiny', '1')).manifest.description, 'new')
  t.match(report.comparison, { a: 'the replaced tiny/1', b: 'tiny/1', verdict: 'no difference shown' })
  t.match(report.publish?.conditions, [{ condition: 'not worse than the replaced tiny/1', passed: true }])
  const { report: next } = await trainTiny(folder, { publish, version: 2 })
  t.match(next.comparison, { a: 'tiny/1', b: 'tiny/2' })
  const from = await readBundle(join(folder, 'models'), 'tiny', '1')
  const { report: continued } = await trainTiny(folder, { publish, version: 3 }, { from })
  t.match(continued.comparison, { a: 'tiny/1', b: 'tiny/3' }, 'what --from names, though 2 is higher')
})

t.test('the same seed gives the same model, bit for bit', async (t) => {
  const first = await readFile(join(whole.folder!, 'group1-shard1of1.bin'))
  t.ok(first.equals(await readFile(join(await trainedTiny(), 'models/tiny/1/group1-shard1of1.bin'))))
})

t.test('a brief report has the same metrics, without baselines', async (t) => {
  const reports = [folder, await trainedTiny()].map(async (folder) =>
    readEvaluation(await readBundle(join(folder, 'models'), 'tiny', '1')),
  )
  const [long, brief] = (await Promise.all(reports)) as [EvaluationReport, EvaluationReport]
  const metrics = ({ tasks }: EvaluationReport) => tasks.map(({ metrics }) => metrics)
  const logistic = ({ tasks }: EvaluationReport) => tasks.some(({ baselines }) => baselines.logistic)
  t.same(metrics(brief), metrics(long))
  t.ok(logistic(long))
  t.notOk(logistic(brief))
})

t.test('a version that is there is not overwritten without force', async (t) => {
  const folder = await copyTrainedTiny(t)
  await t.rejects(trainTiny(folder), { message: /tiny\/1 exists already; --force replaces it/ })
  const tasks = [{ name: 'ctr', label: 'clik == "1"' }]
  const fields = [...tinySpec().fields, { name: 'sise', kind: 'numeric' }]
  const error: unknown = await trainTiny(folder, { tasks, derived: [], fields }).catch((error) => error)
  const problems = (error as SpecError).problems.map(({ path, message }) => `${path} ${message}`)
  t.equal(problems.length, 3)
  t.match(problems[0], /^\/version .*tiny\/1 exists already/)
  const columns = 'the columns are colour, shop, hour, size, click, sale'
  t.equal(problems[1], `/fields/5/name no column "sise"; ${columns}; did you mean size?`)
  t.equal(problems[2], `/tasks/0/label no column "clik"; ${columns}; did you mean click?`)
})

t.test('it says how far it is before and after the epochs', async (t) => {
  const folder = t.testdir({})
  const [header, ...lines] = tinyCsv().trimEnd().split('\n')
  const many = Array.from({ length: 15 }, () => lines).flat()
  await writeFile(join(folder, 'many.csv'), [header, ...many, ''].join('\n'))
  const shown = new Map<string, [done: number, total: number | undefined]>()
  const progress: Progress = {
    rows: (stage, done, total) => shown.set(stage, [done, total]),
    stage: (name) => shown.set(name, [0, undefined]),
    stop() {},
  }
  const { data, training } = tinySpec()
  const changes = { data: { ...data, csv: ['many.csv'] }, training: { ...training, epochs: 1, batch_size: 512 } }
  await trainTiny(folder, changes, { progress })
  const [[first, [read, total]], ...others] = [...shown] as [[string, [number, number]], ...[string, unknown][]]
  t.same([first, read], ['reading', 8192])
  t.ok(total >= read && total < 2 * many.length, `${total} rows are expected`)
  t.match(others.map(([stage]) => stage).join(', '), /^opening tiny\/1, predicting by tiny\/1, .*judging ctr/)
})

t.test('the epoch that is best by the metric of the spec is kept', async (t) => {
  const folder = t.testdir({})
  const training = { ...tinySpec().training, epochs: 4, learning_rate: 0.05, patience: 4 }
  const aucs: number[] = []
  const observer: FitObserver = { step() {}, epoch: ({ validationAuc }) => aucs.push(validationAuc[0]!) }
  const { fitted } = await trainTiny(folder, { training: { ...training, select: 'ctr.auc' } }, { observer })
  t.same(fitted.kept, { epoch: aucs.indexOf(Math.max(...aucs)) + 1, metric: 'ctr.auc', value: Math.max(...aucs) })
  const values = epochs.map(({ selection }) => selection.value)
  t.equal(whole.fitted.kept.epoch, values.indexOf(Math.min(...values)) + 1)
  t.equal(whole.fitted.kept.metric, 'mean normalised entropy')
  const { manifest } = await readBundle(join(folder, 'models'), 'tiny', '1')
  t.same(manifest.provenance!.kept, fitted.kept)

  const oneClass = { ...tinySpec().tasks[0], name: 'never', label: 'false' }
  const tasks = [...tinySpec().tasks, oneClass]
  await t.rejects(trainTiny(folder, { version: 3, tasks, training: { ...training, select: 'never.auc' } }), {
    message: /\/training\/select never\.auc is undefined: the validation rows/,
  })
})

t.test('when stopped it writes nothing', async (t) => {
  const folder = t.testdir({})
  const controller = new AbortController()
  const observer: FitObserver = {
    step: ({ epoch }) => epoch === 2 && controller.abort(new Error('stopped')),
    epoch() {},
  }
  await t.rejects(trainTiny(folder, {}, { observer, signal: controller.signal }), { message: 'stopped' })
  t.notOk((await readdir(folder)).includes('models'))
})

t.test('losses over the entire space, with an order penalty and uncertainty weights', async (t) => {
  const [ctr, cvr] = tinySpec().tasks
  const tasks = [ctr, { ...cvr, entire_space: ['ctr'] }]
  const training = { ...tinySpec().training, order_penalty: 0.6, task_weights: 'uncertainty' }
  const architecture = { name: 'esmm', dim_emb: 4 }
  const { report } = await trainTiny(t.testdir({}), { tasks, training, architecture })
  t.ok(report.tasks.every(({ metrics }) => metrics.auc.value !== null))
})

t.test('refuses data that its fields cannot hold', async (t) => {
  const strict = [{ name: 'size', kind: 'numeric' }]
  await t.rejects(trainTiny(t.testdir({}), { fields: strict }), {
    message: /\/fields\/0 tiny.csv line \d+: size is required/,
  })
  const rare = [{ name: 'colour', kind: 'vocabulary', min_count: 1000 }]
  await t.rejects(trainTiny(t.testdir({}), { fields: rare }), SpecError)
})

t.test('tells when the loss is no number', async (t) => {
  const training = { epochs: 2, batch_size: 64, learning_rate: 3e38 }
  await t.rejects(trainTiny(t.testdir({}), { training }), {
    message: /^the loss is not a number at step \d+ of epoch 1; try a learning rate below 3e\+38$/,
  })
})

t.test('warns of tasks without rows of both classes, and leaves out a calibration to few', async (t) => {
  const folder = t.testdir({})
  const lines: string[] = []
  const tasks = [
    { name: 'ctr', label: 'click == "1"', calibration: 'platt' },
    { name: 'always', label: 'colour != ""' },
    { name: 'never', label: 'click == "1"', where: 'colour == "black"' },
  ]
  const changes = { tasks, derived: [], training: { epochs: 1 } }
  await trainTiny(folder, changes, { log: (line) => lines.push(line) }, 300)
  t.same(
    lines.filter((line) => line.startsWith('warning')),
    [
      'warning: task always has nothing to learn: all 180 training rows in its sample space have the label 1; check its label and where',
      'warning: task never has nothing to learn: its sample space has no training rows; check its label and where',
    ],
  )
  t.ok(lines.some((line) => /^calibration of ctr omitted: it needs 50 rows of each class, and one has \d+$/.test(line)))
  t.notOk((await readBundle(join(folder, 'models'), 'tiny', '1')).manifest.tasks[0]!.calibration)
})

t.test('leaves out a calibration that would reverse the ranking', async (t) => {
  const folder = t.testdir({})
  const lines: string[] = []
  const changes = {
    // Red ones are clicked until 14 o'clock, all others after it: what training rows teach is wrong for the rest.
    tasks: [{ name: 'ctr', label: '(colour == "red") == (double(hour) < 14.0)', calibration: 'platt' }],
    derived: [],
    fields: [{ name: 'colour', kind: 'vocabulary' }],
    split: { by: 'time', column: 'hour', train: 0.6, validation: 0.2, test: 0.2 },
    training: { epochs: 1, batch_size: 16, learning_rate: 0.05 },
  }
  await trainTiny(folder, changes, { log: (line) => lines.push(line) }, 1200)
  t.ok(lines.includes('calibration of ctr omitted: it would reverse or flatten the ranking'))
  t.notOk((await readBundle(join(folder, 'models'), 'tiny', '1')).manifest.tasks[0]!.calibration)
})

t.test('a task that simpler predictions beat says so in the log, the report and the manifest', async (t) => {
  const folder = t.testdir({})
  const training = { epochs: 1, batch_size: 512, learning_rate: 1e-6 }
  const { report } = await trainTiny(folder, { training, derived: [] }, { brief: false }, 3000)
  const found = report.warnings.filter((warning) => /than (its base rate|logistic regression)/.test(warning))
  t.match(found, [/^ctr is worse than logistic regression on the same fields: AUC 0\.\d+, not 0\.\d+; normalised/])
  const { quality } = (await readBundle(join(folder, 'models'), 'tiny', '1')).manifest
  t.same(
    quality!.ctr!.weaknesses,
    found.filter((warning) => warning.startsWith('ctr ')),
  )
})

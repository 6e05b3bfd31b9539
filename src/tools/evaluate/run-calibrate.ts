import { dirname, join } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { foldOf } from '../../base/hash.ts'
import type { Terminal } from '../../base/terminal.ts'
import { evaluationFile, evaluationFiles } from '../../model/serving/bundle/evaluation.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { type NewBundle, writeBundle } from '../../model/serving/bundle/write.ts'
import { layoutOf } from '../../model/serving/features/layout.ts'
import { servedOf } from '../../model/serving/prediction/served.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { Calibration, Manifest } from '../../schemas/manifest.ts'
import type { CalibrationMethod } from '../../schemas/train-spec.ts'
import type { Dataset } from '../data/dataset.ts'
import { measureDistributions } from '../data/distributions.ts'
import { encodeStrips } from '../data/encode-rows.ts'
import { hasParts } from '../data/parts.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { comparisonOf } from './compare.ts'
import { type Evaluation, evaluate, rowsOfPart } from './evaluate.ts'
import type { PartName } from './judge-context.ts'
import { judgePrecisions, precisionsOf } from './judge-precision.ts'
import { findVersion } from './local-predictor.ts'
import { type CalibratedTasks, copiedFiles, fitVersion, madeOf, serve, warnUnsigned } from './next-version.ts'
import type { Predictor } from './predictor.ts'
import { checkPublish, qualityOf, readConditions } from './publish.ts'
import { notGoodEnough, openOnDisk, partOf, printReport, tasksOf } from './run-evaluate.ts'
import { type ScoredPart, scoreRows, selectRows } from './score-rows.ts'
import { type JudgeFlags, type JudgeOptions, readRowsFor, withSession } from './session.ts'
import { groupRows, type TaskRows, taskRows } from './task-rows.ts'

export interface CalibrateFlags extends JudgeFlags {
  method: CalibrationMethod
  /** Default: all tasks and derived tasks that the rows have labels for. */
  tasks?: string[] | undefined
  /** Writes a version though it is shown to be worse, and isotonic regression of few positives. */
  force: boolean
  dryRun: boolean
}

export interface RunCalibrateOptions extends CalibrateFlags, JudgeOptions {
  target: string
}

/**
 * `multigate calibrate`: fits a version's calibration to labelled rows and writes the next version, with the same
 * graph. Resolves with the exit code: 3 if the new version is worse or does not meet its conditions, and was not
 * written.
 */
export function runCalibrate(options: RunCalibrateOptions): Promise<number> {
  const { models, err, signal } = options
  return withSession(options, async (session) => {
    const { loaded, progress } = session
    progress.stage(`opening ${options.target}`)
    const bundle = await findVersion(options.target, models)
    const gate = options.gate ?? loaded.spec.publish !== undefined
    const conditions = await readConditions(gate, loaded, tasksOf(bundle))
    const predictor = await session.keep(openOnDisk(bundle, options))
    const shared = await readRowsFor(loaded, [predictor], session)
    const dataset = shared.datasetOf(predictor)
    const part = partOf(loaded, options.part)
    const scored = await scoreRows(predictor, dataset, rowsOfPart(dataset, part), session)
    const split = hasParts(loaded.spec)
    const fitted = split ? await scoreRows(predictor, dataset, dataset.parts.validation, session) : scored
    progress.stage('calibrating')
    const fit = createFit(loaded, bundle.manifest, dataset, fitted, options)
    const version = fit()
    const judged = judgedRows(loaded, fit, version, dataset, scored, part)
    const predictions = serve(judged.version, judged.scored.raw)
    const judge = (manifest: Manifest, served: ScoredPart, brief = false): Promise<Evaluation> =>
      evaluate({
        ...{ ...session, dataset, part: judged.part, manifest, scored: served, brief },
        predictor: {
          ...predictor,
          tasks: [...manifest.tasks, ...manifest.derived],
          model: modelOf(predictor, manifest),
        },
      })
    const next = nextManifest(bundle, version, await madeOf(bundle, 'calibration', fitted.rows.length, loaded, options))
    const before = await judge(bundle.manifest, judged.scored, true)
    const after = await judge(next, { ...judged.scored, predictions })
    const { report } = after
    report.comparison = comparisonOf(before, after)
    const { rows } = judged.scored
    const precisions = await judgePrecisions(precisionsOf(conditions), { ...session, bundle, dataset, rows })
    if (conditions) report.publish = checkPublish(conditions, { report, precisions })
    progress.stop()
    await printReport(report, options)
    describeCalibrations(bundle.manifest, version, err)
    if (report.publish?.passed === false) {
      err.write('nothing was written\n')
      return notGoodEnough
    }
    const { verdict, a, reasons } = report.comparison
    if (verdict === 'worse' && !options.force) {
      err.write(`worse than ${a} (${reasons.join('; ')}): nothing was written; --force writes it\n`)
      return notGoodEnough
    }
    if (options.dryRun) return 0
    const layout = layoutOf(next)
    const strips = encodeStrips(layout, dataset.cells, rows, dataset.place)
    const drift = measureDistributions(layout, strips, predictions)
    signal.throwIfAborted()
    const folder = join(dirname(bundle.folder), next.version)
    await writeBundle(folder, newBundle(bundle, { ...next, quality: qualityOf(report), drift }, report))
    err.write(`written to ${folder}\n`)
    warnUnsigned(bundle, folder, err)
    return 0
  })
}

type Fit = (half?: 0 | 1) => CalibratedTasks

/**
 * A function that fits the calibrations to all rows, or to those of one half. It throws a SpecError if they can't be
 * fitted.
 */
function createFit(
  loaded: LoadedRows,
  { tasks, derived }: Manifest,
  dataset: Dataset,
  { rows, raw }: ScoredPart,
  { method, tasks: asked, force }: RunCalibrateOptions,
): Fit {
  const labelled = taskRows(loaded, [...tasks, ...derived], dataset, rows, groupRows(dataset, rows))
  const known = labelled.map(({ name }) => name)
  const unknown = asked?.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new ModelError('INVALID_REQUEST', `--tasks ${unknown}: the rows have labels of ${known.join(', ')}`)
  const wanted = new Set(asked ?? known)
  // The method that `auto` picks for all rows is also fitted to halves, so that they judge what is written.
  const picked = new Map<string, CalibrationMethod>()
  let whole: CalibratedTasks | undefined
  return (half) => {
    const own = half === undefined ? labelled : labelled.map((task) => halfOf(task, half))
    const methodOf = (task: string) => picked.get(task) ?? method
    const otherwise = half === undefined ? undefined : whole
    const { version, problems } = fitVersion({
      version: { tasks, derived },
      methodOf,
      wanted,
      rows: own,
      raw,
      otherwise,
      force,
    })
    if (problems.length > 0) throw new SpecError(loaded.file, problems)
    if (half !== undefined) return version
    whole = version
    for (const { name, calibration } of [...version.tasks, ...version.derived])
      if (calibration && calibration.method !== 'negative_sampling') picked.set(name, calibration.method)
    return version
  }
}

/** The rows of one half of the buckets. */
function halfOf(task: TaskRows, half: 0 | 1): TaskRows {
  const inside = (_: number, i: number) => foldOf(task.buckets[i]!, 2) === half
  const labels = task.labels.filter(inside)
  return {
    ...task,
    labels,
    positions: task.positions.filter(inside),
    weights: task.weights?.filter(inside),
    kept: undefined,
    buckets: task.buckets.filter(inside),
    groups: undefined,
    positives: labels.reduce((sum, label) => sum + label, 0),
  }
}

/** Which rows judge the new calibrations, and by which calibrations: those that were not fitted to them. */
interface Judged {
  scored: ScoredPart
  version: CalibratedTasks
  part: PartName | 'half'
}

/**
 * With parts, those; else half of the groups judges what is fitted to the other half. One group alone judges itself.
 */
function judgedRows(
  loaded: LoadedRows,
  fit: Fit,
  whole: CalibratedTasks,
  dataset: Dataset,
  scored: ScoredPart,
  part: PartName,
): Judged {
  if (hasParts(loaded.spec)) return { scored, version: whole, part }
  const { buckets } = groupRows(dataset, scored.rows)
  const positions = Int32Array.from(scored.rows, (_, i) => i).filter((i) => foldOf(buckets[i]!, 2) === 0)
  if (positions.length === 0 || positions.length === scored.rows.length) return { scored, version: whole, part }
  return { scored: selectRows(scored, positions), version: fit(1), part: 'half' }
}

/** The manifest of the next version, without what is measured. */
function nextManifest({ manifest }: Bundle, { tasks, derived }: CalibratedTasks, made: Partial<Manifest>): Manifest {
  const { golden } = manifest
  const served = golden && servedOf({ tasks, derived }, golden.probabilities)
  return { ...manifest, tasks, derived, ...(golden && served && { golden: { ...golden, served } }), ...made }
}

/** The files of the version before, with another manifest and report. */
function newBundle(bundle: Bundle, { files, ...manifest }: Manifest, report: EvaluationReport): NewBundle {
  const { [evaluationFile]: _, ...others } = files
  return { manifest, files: { ...copiedFiles(bundle, Object.keys(others)), ...evaluationFiles(report) } }
}

function modelOf({ model }: Predictor, { version, provenance }: Manifest): Predictor['model'] {
  return { ...model, version, provenance }
}

function describeCalibrations(before: CalibratedTasks, after: CalibratedTasks, err: Terminal): void {
  const old = new Map([...before.tasks, ...before.derived].map(({ name, calibration }) => [name, calibration]))
  for (const { name, calibration } of [...after.tasks, ...after.derived])
    if (calibration && calibration !== old.get(name)) err.write(`${name}: ${describeCalibration(calibration)}\n`)
}

function describeCalibration(calibration: Calibration): string {
  switch (calibration.method) {
    case 'platt':
      return `platt, σ(${calibration.a.toPrecision(4)} · logit ${calibration.b < 0 ? '−' : '+'} ${Math.abs(calibration.b).toPrecision(4)})`
    case 'isotonic':
      return `isotonic, ${calibration.x.length} points`
    case 'negative_sampling':
      return `negative sampling, ${calibration.kept} kept`
  }
}

import { basename } from 'node:path'
import { withoutUndefined } from '../../base/arrays.ts'
import type { Violation } from '../../base/errors.ts'
import { createResampling } from '../../model/quality/bootstrap.ts'
import { multiply } from '../../model/serving/calibration/calibrator.ts'
import { effectiveRows } from '../../model/serving/calibration/fit-calibration.ts'
import { check } from '../../schemas/check.ts'
import { type Epoch, Epoch as EpochSchema, type EvaluationReport } from '../../schemas/evaluation.ts'
import { isObject } from '../../schemas/json.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { Dataset } from '../data/dataset.ts'
import { describeData } from '../data/distributions.ts'
import { hasParts, rowsInParts } from '../data/parts.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { logisticBaselines } from './baselines.ts'
import { tableWarnings } from './describe-table.ts'
import { compareDistributions } from './drift.ts'
import { describeGates, evaluateTask, type PredictedTask } from './evaluate-task.ts'
import type { JudgeContext, PartName } from './judge-context.ts'
import type { Predictor, PredictorTask } from './predictor.ts'
import type { ScoredPart } from './score-rows.ts'
import { describeSequences } from './sequences.ts'
import { sliceRows } from './slices.ts'
import { groupRows, type RowGroups, repeatedRows, taskRows } from './task-rows.ts'
import { weaknessesOf } from './weaknesses.ts'

/** Replicates of the bootstrap: for whole tasks, and for slices. */
export const replicates = 1000
const sliceReplicates = 400
const sliceBuckets = 1024

export interface EvaluateInput extends Omit<JudgeContext, 'part'> {
  part: PartName | 'half'
  dataset: Dataset
  predictor: Pick<Predictor, 'model' | 'fields' | 'crossed' | 'tasks' | 'attention'>
  scored: ScoredPart
  /** The manifest of a version on disk, for drift. */
  manifest?: Manifest | undefined
  /** Only what a comparison needs: no baselines, slices or distributions. */
  brief?: boolean
}

/** An evaluation, and what comparisons and gates need of it. */
export interface Evaluation {
  report: EvaluationReport
  tasks: PredictedTask[]
  groups: RowGroups
  scored: ScoredPart
}

/** Rows of a part; those of all parts for `all`, which without parts are all rows. */
export function rowsOfPart({ parts, rows }: Pick<Dataset, 'parts' | 'rows'>, part: PartName): Int32Array {
  if (part !== 'all') return parts[part]
  return parts.test.length === rows ? parts.test : rowsInParts(parts, rows)
}

function rowsOfReport(
  { loaded: { file, spec }, dataset, part, scored }: EvaluateInput,
  { groups }: RowGroups,
): EvaluationReport['data'] {
  const left = leftOutOf(dataset, part) + (scored.leftOut ?? 0)
  return {
    spec: basename(file),
    source: describeData(spec.data),
    rows: dataset.rows,
    part: part === 'half' || hasParts(spec) ? part : 'all',
    judged: scored.rows.length,
    ...(left > 0 && { left_out: left }),
    ...(spec.group !== undefined && { group: spec.group, groups: groups!.count }),
    ...(spec.weight !== undefined && { weight: spec.weight }),
    ...(dataset.tables && { tables: dataset.tables }),
  }
}

/** Number of the rows of a part that are left out, as a server does not answer them. */
function leftOutOf({ leftOut, rows }: Dataset, part: EvaluateInput['part']): number {
  return leftOut === undefined ? 0 : rowsOfPart({ parts: leftOut, rows }, part === 'half' ? 'all' : part).length
}

/**
 * Judges predictions of labelled rows. Throws a SpecError if the spec's tasks do not fit the version's, or if the
 * judged rows of every task have one class alone.
 */
export async function evaluate(input: EvaluateInput): Promise<Evaluation> {
  const { loaded, dataset, predictor, scored, manifest, seed, brief = false, signal, progress } = input
  const { file, spec } = loaded
  const { rows } = scored
  const onProgress = (what: string, how?: string) => {
    signal.throwIfAborted()
    progress?.stage(what, how)
  }
  const pause = async (what: string, how?: string) => {
    onProgress(what, how)
    await new Promise(setImmediate)
  }
  const groups = groupRows(dataset, rows)
  const tasks = taskRows({ file, spec }, predictor.tasks, dataset, rows, groups).map((task): PredictedTask => {
    const described = predictor.tasks.find(({ name }) => name === task.name)!
    const pick = (values: ArrayLike<number>) => {
      const picked = new Float64Array(task.positions.length)
      for (let i = 0; i < picked.length; i++) picked[i] = values[task.positions[i]!]!
      return picked
    }
    const before = uncalibrated(described, scored)
    const factors = described.product?.map((factor) => scored.predictions[factor])
    const areKnown = factors?.length === task.kept?.shares.length && factors?.every((values) => values !== undefined)
    return {
      ...task,
      ...(task.kept && {
        kept: { ...task.kept, ...(areKnown && { factors: factors!.map((values) => pick(values!)) }) },
      }),
      predictions: pick(scored.predictions[task.name]!),
      uncalibrated: before && pick(before),
    }
  })
  const oneClass = oneClassProblems(spec, tasks)
  if (oneClass.length === tasks.length) throw new SpecError(file, oneClass)
  const slicings = brief ? [] : sliceRows(spec.slices, predictor.fields, dataset, rows, scored.unknown)
  const resampling = createResampling(groups.count, replicates, seed)
  const coarse = createResampling(Math.min(sliceBuckets, groups.count), sliceReplicates, seed)
  const watch = (how?: string) => pause('fitting baselines', how)
  if (!brief) await watch()
  const baselines = brief ? undefined : await logisticBaselines(loaded, predictor, dataset, rows, tasks, watch)
  const evaluated: EvaluationReport['tasks'] = []
  for (const task of tasks) {
    const judging = `judging ${task.name}`
    await pause(judging)
    const described = predictor.tasks.find(({ name }) => name === task.name)!
    const watched = {
      onProgress: (how: string) => onProgress(judging, how),
      pause: (how: string) => pause(judging, how),
    }
    const context = { resampling, coarse, slicings, seed, ...watched }
    evaluated.push(await evaluateTask(described, task, baselines?.get(task.name), context))
  }
  await pause('comparing distributions')
  const drift = manifest && !brief ? compareDistributions(manifest, dataset, scored) : []
  const history = historyOf(predictor.model.provenance)
  const attention = brief ? undefined : await predictor.attention?.()
  const sequences = brief ? [] : describeSequences(predictor.fields, dataset.cells, rows, attention)
  const report: EvaluationReport = {
    report: 1,
    created: new Date(input.now()).toISOString(),
    command: input.command,
    multigate: input.multigateVersion,
    seed,
    replicates,
    model: { ...withoutUndefined(predictor.model), fields: fieldsOf(predictor, scored) },
    data: rowsOfReport(input, groups),
    warnings: [
      ...oneClass.map(({ path, message }) => `${path} ${message}`),
      ...tableWarnings(dataset.tables),
      ...(dataset.notes ?? []),
      ...warningsOf(dataset, rows, tasks, groups),
      ...evaluated.flatMap(weaknessesOf),
    ],
    tasks: evaluated,
    ...(drift.length > 0 && { drift }),
    ...(scored.gates.length > 0 && { gates: describeGates(scored.gates, slicings) }),
    ...(history && { history }),
    ...(sequences.length > 0 && { sequences }),
  }
  return { report, tasks, groups, scored }
}

/** A task's probabilities without its own calibration; undefined if it has none. */
function uncalibrated(
  { name, product, calibration }: PredictorTask,
  { rows, raw, predictions }: ScoredPart,
): ArrayLike<number> | undefined {
  if (calibration === undefined) return undefined
  if (product === undefined) return raw[name]
  return multiply(
    product.map((factor) => predictions[factor]!),
    rows.length,
  )
}

/** Tasks whose judged rows have one class alone, of which most metrics are undefined. */
function oneClassProblems(spec: LoadedRows['spec'], tasks: readonly PredictedTask[]): Violation[] {
  return tasks.flatMap(({ name, labels, positives }) => {
    if (positives > 0 && positives < labels.length) return []
    const index = spec.tasks.findIndex((task) => task.name === name)
    const found =
      labels.length === 0 ? 'no judged row has a label' : `all ${labels.length} judged rows have the label ${labels[0]}`
    const path = index < 0 ? '/tasks' : `/tasks/${index}`
    return [{ path, message: `${name} can't be judged: ${found}; check its label and where` }]
  })
}

function fieldsOf({ fields }: Pick<Predictor, 'fields'>, { rows, unknown }: ScoredPart) {
  return fields.map(({ name, side, kind, ids }) => {
    const marks = unknown.get(name)
    const share = marks ? marks.reduce((sum, mark) => sum + mark, 0) / rows.length : 0
    return { name, side, kind, ...(ids !== undefined && { ids }), unknown: share }
  })
}

function warningsOf(
  dataset: Dataset,
  rows: Int32Array,
  tasks: readonly PredictedTask[],
  { groups }: RowGroups,
): string[] {
  const warnings: string[] = []
  const repeated = repeatedRows(dataset, rows)
  if (repeated > 0)
    warnings.push(
      `${repeated.toLocaleString('en')} of ${rows.length.toLocaleString('en')} judged rows also occur among the training rows, with the same fields and labels: metrics are too good if these are copies`,
    )
  for (const { name, version, key, unknown = 0, left_out: left } of dataset.tables ?? [])
    if (unknown > dataset.rows / 2)
      warnings.push(
        `the table ${name}/${version} lacks the ${key} of ${unknown.toLocaleString('en')} of ${dataset.rows.toLocaleString('en')} rows: ${left === undefined ? 'their features have defaults' : 'they are left out'}`,
      )
  for (const { name, version, features, service } of dataset.tables ?? [])
    if (service)
      warnings.push(
        `${features.join(', ')} are in the service's table ${name}/${version} alone: slices and the logistic regression do without them`,
      )
  for (const { name, positives, labels } of tasks) {
    const rarer = Math.min(positives, labels.length - positives)
    if (rarer > 0 && rarer < 50)
      warnings.push(`${name} has only ${rarer} rows of its rarer class: its intervals are rough`)
  }
  if (groups && groups.count < 50)
    warnings.push(`there are only ${groups.count} groups: intervals over groups are too narrow`)
  else if (groups && effectiveGroups(groups) < 50)
    warnings.push(
      `a few of the ${groups.count.toLocaleString('en')} groups have most rows: 95 % intervals are those of about 90 %`,
    )
  return warnings
}

/** Groups of equal size that would tell as much. */
function effectiveGroups({ of, count }: NonNullable<RowGroups['groups']>): number {
  const sizes = new Float64Array(count)
  for (const group of of) sizes[group]!++
  return effectiveRows(count, (group) => sizes[group]!)
}

/** The training history in a version's provenance; undefined if it has none. */
export function historyOf(provenance: unknown): Epoch[] | undefined {
  if (!isObject(provenance) || !Array.isArray(provenance.history)) return undefined
  const problems: Violation[] = []
  const epochs = provenance.history.map((epoch) => check(EpochSchema, epoch, '', problems) as Epoch)
  return problems.length === 0 && epochs.length > 0 ? epochs : undefined
}

import { ModelError, reasonOf } from '../../base/errors.ts'
import { formatTable } from '../../base/terminal.ts'
import type { Precision, Verdict } from '../../model/contracts/compiled-plan.ts'
import { judge } from '../../model/graph/compile/choose-precision.ts'
import { removeTemporary } from '../../model/graph/compile/prepare.ts'
import { prepareInThread } from '../../model/graph/compile/prepare-in-thread.ts'
import { type JudgedRows, limits } from '../../model/graph/int8/judge.ts'
import { readQuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { layoutOptions } from '../../model/serving/features/layout.ts'
import { bindingsOf, namedInputs } from '../../model/serving/prediction/bindings.ts'
import { describeGraph, savedGraph } from '../../model/serving/prediction/load-graph.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { Publish } from '../../schemas/publish.ts'
import type { Dataset } from '../data/dataset.ts'
import { encodeRows } from '../data/encode-rows.ts'
import { type LabelledRows, toQuantizationRows } from '../data/quantization-rows.ts'
import { type LoadedRows, RowProblems, SpecError } from '../data/source.ts'

/** Precisions that round, which are judged against float32. */
export type RoundedPrecision = Exclude<Precision, 'float32'>
export const roundedPrecisions = ['int8', 'bfloat16'] as const satisfies RoundedPrecision[]

/** A version, and the rows that judge it. */
export interface PrecisionRows {
  /** Undefined for one that is not on disk. */
  bundle: Bundle | undefined
  loaded: Parameters<typeof encodePart>[1]
  /** Its cells are those of the version's fields. */
  dataset: Dataset
  /** Indexes in the data set. */
  rows: Int32Array
  /** Folder of compiled plans. */
  cache: string | undefined
  /** Milliseconds since 1970. */
  now(): number
}

/**
 * Compares a precision with float32 on rows of a data set. The version's quantization rows, which must not be among
 * them, set the scales of int8.
 *
 * Rejects with INVALID_BUNDLE for int8 without quantization rows, with UNSUPPORTED_GRAPH where the graph has no such
 * plan, and with the reason where this machine can't compute it.
 */
export async function judgePrecision(
  precision: RoundedPrecision,
  { bundle, loaded, dataset, rows, cache, now }: PrecisionRows,
): Promise<Verdict> {
  if (bundle === undefined) throw new ModelError('INVALID_REQUEST', 'it is judged for versions on disk alone')
  const { manifest, folder } = bundle
  const { tasks } = manifest
  const quantization = await readQuantizationRows(bundle)
  if (quantization === undefined && precision === 'int8')
    throw new ModelError('INVALID_BUNDLE', `${folder} has no quantization rows to set the scales of int8`)
  const { encoded, labels } = encodePart(manifest, loaded, dataset, rows)
  const judged: JudgedRows = {
    rows: encoded.rows,
    inputs: namedInputs(manifest, encoded.sparse, encoded.dense),
    labels: toQuantizationRows({ encoded, labels }).labels,
    tasks: tasks.map(({ name }) => name),
  }
  const { plan, problem } = await prepareInThread({
    ...describeGraph(manifest, quantization),
    // bfloat16 computes the float32 plan.
    precision: precision === 'int8' ? 'int8' : 'float32',
    onlyIfFaster: false,
    source: savedGraph(bundle, [bindingsOf(manifest).probabilities]),
    cache,
    now: now(),
  })
  if (plan === undefined || (precision === 'int8' && plan.description.int8 === undefined))
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${folder} has no ${precision} plan: ${plan?.description.int8Problem ?? problem}`,
    )
  try {
    return (await judge(precision, plan, judged)).verdict
  } finally {
    await removeTemporary(plan)
  }
}

/** A verdict, or why there is none. */
type JudgedPrecision = { verdict: Verdict; problem?: undefined } | { verdict?: undefined; problem: string }

export type JudgedPrecisions = Partial<Record<RoundedPrecision, JudgedPrecision>>

/** Judges precisions one after the other; says why one can't be judged instead of rejecting. */
export async function judgePrecisions(
  precisions: readonly RoundedPrecision[],
  judgedOn: PrecisionRows,
): Promise<JudgedPrecisions> {
  const judged: JudgedPrecisions = {}
  for (const precision of precisions)
    try {
      judged[precision] = { verdict: await judgePrecision(precision, judgedOn) }
    } catch (error) {
      judged[precision] = { problem: reasonOf(error) }
    }
  return judged
}

/** Precisions that must pass their check for a version to be published. */
export function precisionsOf(publish: Publish | undefined): RoundedPrecision[] {
  return roundedPrecisions.filter((precision) => publish?.[precision] === true)
}

/** The comparison as a table of text. */
export function formatVerdict(precision: string, { passed, rows, tasks, reasons }: Verdict): string {
  const header = [precision, 'AUC loss', 'mean change', 'p99 |Δlogit|', 'max |Δlogit|']
  const number = (value: number | null, limit?: number) =>
    value === null ? '–' : `${value.toExponential(1)}${limit === undefined ? '' : ` (${limit.toExponential(0)})`}`
  const lines = tasks.map(({ task, auc_loss, mean_change, logit_p99, logit_max }) => [
    task,
    number(auc_loss, limits.auc_loss),
    number(mean_change, limits.mean_change),
    number(logit_p99, limits.logit_p99),
    number(logit_max),
  ])
  const verdict = passed
    ? `within the limits (in brackets) on ${rows} rows`
    : `exceeds the limits: ${reasons.join('; ')}`
  return `${formatTable(header, lines)}\n${verdict}`
}

/**
 * Encodes rows of a data set, whose cells are those of the version's fields. Throws a SpecError that lists cells that a
 * request could not contain either.
 */
export function encodePart(
  manifest: Manifest,
  { file, spec }: Pick<LoadedRows, 'file'> & { spec: Pick<LoadedRows['spec'], 'tasks'> },
  dataset: Pick<Dataset, 'cells' | 'labels' | 'place'>,
  rows: Int32Array,
): LabelledRows {
  const problems = new RowProblems()
  const { encoded } = encodeRows(manifest.features, dataset.cells, rows, dataset.place, {
    problems,
    ...layoutOptions(manifest),
  })
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  const labels = manifest.tasks.map(({ name }) => {
    const known = dataset.labels[spec.tasks.findIndex((task) => task.name === name)]
    return Int8Array.from(rows, (row) => known?.[row] ?? -1)
  })
  return { encoded, labels }
}

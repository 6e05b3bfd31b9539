import { grouped } from '../../base/terminal.ts'
import type { Resampling } from '../../model/quality/bootstrap.ts'
import { assignBins, binsOf, wilson } from '../../model/quality/calibration-bins.ts'
import { perfectCalibrationError } from '../../model/quality/calibration-error.ts'
import { gauc } from '../../model/quality/gauc.ts'
import { type Judgement, judge } from '../../model/quality/judge.ts'
import { expectedWeights } from '../../model/quality/label-chances.ts'
import { auc, logloss } from '../../model/quality/metrics.ts'
import { rank } from '../../model/quality/ranking.ts'
import type { GateUse, ReliabilityBin, TaskEvaluation } from '../../schemas/evaluation.ts'
import { type Baseline, baseLogloss } from './baselines.ts'
import { aucDifference, deciding, difference, zOf } from './paired-differences.ts'
import type { PredictorTask } from './predictor.ts'
import type { GatedRow } from './score-rows.ts'
import { judgeSlices, type Slicing } from './slices.ts'
import type { TaskRows } from './task-rows.ts'

/** Points of a ROC curve and bins of a histogram. */
const curvePoints = 200
const histogramBins = 40
/** Bins of the reliability diagram. */
const reliabilityBins = 15

/** A task's rows with what the version predicts for them. */
export interface PredictedTask extends TaskRows {
  /** Served probabilities. */
  predictions: Float64Array
  /** Before the task's own calibration; undefined without one. */
  uncalibrated: Float64Array | undefined
}

export interface TaskContext {
  resampling: Resampling
  /** Fewer replicates and buckets, of which slices have many. */
  coarse: Resampling
  slicings: readonly Slicing[]
  seed: number
  /** Called with how far it is, for people. */
  onProgress?(how: string): void
  /** The same between its parts, and awaited: time for other work. */
  pause?(how: string): Promise<void>
}

/** Judges one task: everything that a report says of it. Rejects as `onProgress` and `pause`. */
export async function evaluateTask(
  { description, product, calibration }: PredictorTask,
  rows: PredictedTask,
  baseline: Baseline | undefined,
  { resampling, coarse, slicings, seed, onProgress = () => undefined, pause = async () => undefined }: TaskContext,
): Promise<TaskEvaluation> {
  /** The bootstrap of a part, which says how many of its replicates are done. */
  const bootstrapOf = async (part: string): Promise<Resampling> => {
    await pause(part)
    const onReplicates = (done: number) =>
      onProgress(`${part}, ${grouped(done)} of ${grouped(resampling.replicates)} replicates`)
    return { ...resampling, onReplicates }
  }
  const { name, labels, predictions, positives, oracle, groups, uncalibrated } = rows
  const order = rank(predictions)
  const judgement = judge(rows, order, await bootstrapOf('metrics'))
  const base = baseLogloss(rows)
  await pause('perfect calibration')
  const perfect = labels.length > 0 ? perfectCalibrationError(rows, order, seed) : undefined
  const within = groups && gauc({ ...rows, groups }, order, await bootstrapOf('GAUC'))
  const logistic = baseline && judgeLogistic(baseline, rows, order, judgement, await bootstrapOf('logistic regression'))
  return {
    name,
    ...(description !== undefined && { description }),
    ...(product !== undefined && { product }),
    rows: labels.length,
    positives,
    base_rate: base.rate,
    ...(calibration !== undefined && { calibration: calibration.method }),
    metrics: judgement.metrics,
    ece_measured: judgement.eceMeasured,
    ...(perfect && { ece_perfect: perfect }),
    ...(within && { gauc: within }),
    ...(oracle && { oracle: judgeOracle(rows, oracle, base.logloss) }),
    baselines: {
      base_rate: { logloss: base.logloss },
      ...(logistic && { logistic }),
    },
    roc: rocOf(rows, order),
    reliability: {
      served: reliabilityOf(rows, predictions, order),
      ...(uncalibrated && { uncalibrated: reliabilityOf(rows, uncalibrated, rank(uncalibrated)) }),
    },
    histogram: histogramOf(rows),
    slices: await judgeSlices(rows, order, slicings, coarse, (field) => pause(`slices by ${field}`)),
  }
}

function judgeLogistic(
  { predictions, fitted, crossed }: Baseline,
  rows: PredictedTask,
  order: Uint32Array,
  judgement: Judgement,
  resampling: Resampling,
): NonNullable<TaskEvaluation['baselines']['logistic']> {
  // It predicts no factors of a product.
  const kept = rows.kept && { ...rows.kept, factors: undefined }
  const judged = judge({ ...rows, kept, predictions }, rank(predictions), resampling)
  const pair = { a: judged, b: judgement }
  const z = zOf(deciding.length)
  return {
    metrics: judged.metrics,
    fitted,
    ...(crossed.length > 0 && { crossed }),
    differences: {
      auc: aucDifference(rows, order, pair, z),
      normalised_entropy: difference(pair, 'normalised_entropy', z),
    },
  }
}

function judgeOracle({ labels, weights }: TaskRows, oracle: Float64Array, base: number | null) {
  // Weights change little of what truth reaches, and only where rows are down-sampled, whose truth is another.
  const loss = weights ? null : logloss(labels, oracle)
  return {
    auc: weights ? null : auc(labels, oracle),
    logloss: loss,
    normalised_entropy: loss === null || base === null ? null : loss / base,
  }
}

function rocOf({ labels, predictions, weights }: PredictedTask, order: Uint32Array): TaskEvaluation['roc'] {
  const curve = { fpr: [0], tpr: [0] }
  let [positive, negative] = [0, 0]
  for (const row of order) {
    if (labels[row]) positive += weights?.[row] ?? 1
    else negative += weights?.[row] ?? 1
  }
  if (positive === 0 || negative === 0) return { fpr: [], tpr: [] }
  let [truly, falsely] = [0, 0]
  for (let i = order.length - 1; i >= 0; i--) {
    const row = order[i]!
    if (labels[row]) truly += weights?.[row] ?? 1
    else falsely += weights?.[row] ?? 1
    const tied = i > 0 && predictions[order[i - 1]!] === predictions[row]
    const moved = falsely / negative - curve.fpr.at(-1)! + (truly / positive - curve.tpr.at(-1)!)
    if (tied || (moved < 2 / curvePoints && i > 0)) continue
    curve.fpr.push(round(falsely / negative))
    curve.tpr.push(round(truly / positive))
  }
  return curve
}

function reliabilityOf(
  { labels, weights, kept }: TaskRows,
  predictions: Float64Array,
  order: Uint32Array,
): ReliabilityBin[] {
  const assigned = assignBins(predictions, expectedWeights({ predictions, weights, kept }), order, reliabilityBins)
  const bins = binsOf(labels, predictions, weights, order, assigned)
  return bins.map(({ rows, positives, effective, predicted, observed }) => ({
    rows,
    positives,
    predicted,
    observed,
    ...wilson(observed, effective),
  }))
}

/** Shares of the classes by the logit of the prediction. */
function histogramOf({ labels, predictions, weights }: PredictedTask): TaskEvaluation['histogram'] {
  if (labels.length === 0) return { edges: [], negatives: [], positives: [] }
  const logit = (p: number) => {
    const inside = Math.min(1 - 1e-6, Math.max(1e-6, p))
    return Math.log(inside / (1 - inside))
  }
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const p of predictions) {
    const value = logit(p)
    if (value < low) low = value
    if (value > high) high = value
  }
  const step = Math.max(high - low, 1e-6) / histogramBins
  const counts = { negatives: new Float64Array(histogramBins), positives: new Float64Array(histogramBins) }
  const total = { negatives: 0, positives: 0 }
  predictions.forEach((p, row) => {
    const bin = Math.min(histogramBins - 1, Math.floor((logit(p) - low) / step))
    const kind = labels[row] ? 'positives' : 'negatives'
    const weight = weights?.[row] ?? 1
    counts[kind][bin]! += weight
    total[kind] += weight
  })
  const shares = (kind: 'negatives' | 'positives') =>
    Array.from(counts[kind], (count) => (total[kind] === 0 ? 0 : round(count / total[kind])))
  const edges = Array.from({ length: histogramBins + 1 }, (_, i) => round(1 / (1 + Math.exp(-(low + i * step)))))
  return { edges, negatives: shares('negatives'), positives: shares('positives') }
}

const round = (value: number) => Number(value.toPrecision(6))

/** Slices shown, the largest ones, and rows of the sample that each must have. */
const mostSlices = 24
const leastRows = 50

/** Mean weights of the experts per task, over all sampled rows and by slice. */
export function describeGates(gates: readonly GatedRow[], slicings: readonly Slicing[]): GateUse {
  const tasks = Object.keys(gates[0]!.weights)
  const parts = slicings
    .flatMap(({ field, of, slices }) => {
      const members = slices.map((): GatedRow[] => [])
      for (const row of gates) members[of[row.position]!]!.push(row)
      return slices.map(({ value }, slice) => ({ field, value, rows: members[slice]! }))
    })
    .filter(({ rows }) => rows.length >= leastRows)
    .sort((a, b) => b.rows.length - a.rows.length)
    .slice(0, mostSlices)
  return {
    experts: gates[0]!.weights[tasks[0]!]!.length,
    rows: gates.length,
    tasks: tasks.map((task) => ({ task, weights: meanOf(gates, task) })),
    slices: parts.flatMap(({ field, value, rows }) =>
      tasks.map((task) => ({ field, value, task, rows: rows.length, weights: meanOf(rows, task) })),
    ),
  }
}

function meanOf(rows: readonly GatedRow[], task: string): number[] {
  return rows[0]!.weights[task]!.map((_, expert) => {
    const sum = rows.reduce((total, { weights }) => total + weights[task]![expert]!, 0)
    return Number((sum / rows.length).toPrecision(6))
  })
}

import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import type { TaskDifference, VariantFile, Verdict } from '../../contracts/compiled-plan.ts'
import { auc } from '../../quality/metrics.ts'
import type { Graph } from '../ir/graph.ts'
import { ValueInfoProtoSchema } from '../ir/onnx_pb.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'
import { type InputRows, openSession, predictRows } from './observe-ranges.ts'

/** Rows that evaluate int8; they did not set its scales. */
export interface JudgedRows extends InputRows {
  /** float32 [rows, tasks]: 1, 0, or NaN outside the task's sample space. */
  labels: Float32Array | undefined
  tasks: string[]
}

/** Limits that int8 must meet. */
export const limits = { auc_loss: 1e-4, mean_change: 0.002, logit_p99: 0.05 }

/**
 * The limits with a margin, for choosing the effort, since unseen rows differ. If there are too few labels to measure a
 * loss of AUC, logits must be closer.
 */
export function passesClearly({ passed, tasks }: Verdict): boolean {
  return (
    passed &&
    tasks.every(
      ({ auc_loss, mean_change, logit_p99 }) =>
        mean_change <= limits.mean_change * 0.75 && logit_p99 <= limits.logit_p99 * (auc_loss === null ? 0.5 : 0.75),
    )
  )
}

/** Which limit an answer comes nearest to, or exceeds most. */
export function nearestLimit({ tasks }: Verdict): string {
  const all = tasks.flatMap((difference) =>
    (['auc_loss', 'mean_change', 'logit_p99'] as const).map((name) => ({
      name,
      ...difference,
      value: difference[name] ?? 0,
    })),
  )
  const [first, ...others] = all
  if (first === undefined) return 'nothing was compared'
  const { task, name, value } = others.reduce(
    (most, other) => (other.value / limits[other.name] > most.value / limits[most.name] ? other : most),
    first,
  )
  return `${task}: ${name} is ${value.toPrecision(2)}, and the limit ${limits[name]}`
}

/**
 * With fewer pairs of a positive and a negative row, chance alone swaps a share of the limit's size: of 50 and 2,000
 * rows, 2e-4 at logits that are 0.01 off.
 */
const fewestPairs = 25 / limits.auc_loss

/** Logits computed by a plan's file. */
export async function judgedLogits(folder: string, file: VariantFile, rows: InputRows): Promise<Float32Array> {
  return (await judgedProbabilities(folder, file, rows)).map(logit)
}

/** Probabilities [rows, tasks] computed by a plan's file, in ONNX Runtime. */
export async function judgedProbabilities(
  folder: string,
  { file, rows: packed, lists }: VariantFile,
  { rows, inputs }: InputRows,
): Promise<Float32Array> {
  const session = await openSession(join(folder, file))
  try {
    const own = Object.fromEntries(packed.map(({ name, input }) => [name, inputs[input]!]))
    return await predictRows(session, session.outputNames[0]!, { rows, inputs: own }, lists)
  } finally {
    await session.release()
  }
}

/** Logits [rows, tasks] of a full variant. */
export async function logitsOf({ graph, rows: packed }: VariantGraph, rows: InputRows): Promise<Float32Array> {
  const { bytes, output, sigmoid } = beforeSigmoid(graph)
  const session = await openSession(bytes, graph.folder)
  try {
    const inputs = Object.fromEntries(packed.map(({ name, input }) => [name, rows.inputs[input]!]))
    const values = await predictRows(session, output, { rows: rows.rows, inputs })
    return sigmoid ? values : values.map(logit)
  } finally {
    await session.release()
  }
}

/** The graph up to its logits, if it ends in a sigmoid: near 0 and 1, probabilities lose their precision. */
function beforeSigmoid(graph: Graph): { bytes: Uint8Array; output: string; sigmoid: boolean } {
  const { name } = graph.outputs[0]!
  const last = graph.producer(name)
  if (last?.opType !== 'Sigmoid') return { bytes: graph.toBytes(), output: name, sigmoid: false }
  const cut = graph.copy()
  const output = last.input[0]!
  cut.outputs.splice(0, Infinity, create(ValueInfoProtoSchema, { name: output }))
  return { bytes: cut.toBytes(), output, sigmoid: true }
}

export function compareLogits(reference: Float32Array, other: Float32Array, rows: JudgedRows): Verdict {
  const count = rows.tasks.length
  const tasks = rows.tasks.map((task, column) => {
    const column1 = columnOf(reference, column, count)
    const column2 = columnOf(other, column, count)
    const differences = column1.map((value, row) => Math.abs(value - column2[row]!)).sort()
    const [mean1, mean2] = [meanProbability(column1), meanProbability(column2)]
    return {
      task,
      auc_loss: aucLoss(column1, column2, rows.labels && columnOf(rows.labels, column, count)),
      mean_change: Math.abs(mean2 / mean1 - 1),
      logit_p99: differences[Math.floor((differences.length - 1) * 0.99)] ?? 0,
      logit_max: differences.at(-1) ?? 0,
    }
  })
  const reasons = rows.rows === 0 ? ['there are no rows to judge it on'] : tasks.flatMap(reasonsOf)
  return { passed: reasons.length === 0, rows: rows.rows, tasks, reasons }
}

function reasonsOf(difference: TaskDifference): string[] {
  return (['auc_loss', 'mean_change', 'logit_p99'] as const).flatMap((name) => {
    const value = difference[name]
    if (value === null || value <= limits[name]) return []
    const beyond = Number.isNaN(value) ? 'not a number' : `${value.toPrecision(2)}, more than ${limits[name]}`
    return [`${difference.task}: ${name} is ${beyond}`]
  })
}

function aucLoss(reference: Float32Array, other: Float32Array, labels: Float32Array | undefined): number | null {
  if (labels === undefined) return null
  const inside = Array.from(labels.keys()).filter((row) => !Number.isNaN(labels[row]!))
  const wanted = inside.map((row) => labels[row]!)
  const positives = wanted.reduce((sum, label) => sum + label, 0)
  if (positives * (wanted.length - positives) < fewestPairs) return null
  const [before, after] = [reference, other].map((values) =>
    auc(
      wanted,
      inside.map((row) => values[row]!),
    ),
  )
  return before == null || after == null ? null : before - after
}

/**
 * Shift of each column of the logits `other` [rows, columns] that makes mean probabilities equal those of `reference`.
 */
export function meanShift(reference: Float32Array, other: Float32Array, columns: number): Float32Array {
  return Float32Array.from({ length: columns }, (_, column) => {
    const wanted = meanProbability(columnOf(reference, column, columns))
    const own = columnOf(other, column, columns)
    // The mean grows with the shift: bisection, beyond the precision of float32.
    let [low, high] = [-widestShift, widestShift]
    for (let i = 0; i < 30; i++) {
      const middle = (low + high) / 2
      if (meanProbability(own.map((value) => value + middle)) < wanted) low = middle
      else high = middle
    }
    return (low + high) / 2
  })
}

/** Maximum shift. */
const widestShift = 1

function columnOf(values: Float32Array, column: number, count: number): Float32Array {
  return Float32Array.from({ length: values.length / count }, (_, row) => values[row * count + column]!)
}

function meanProbability(logits: Float32Array): number {
  return logits.reduce((sum, value) => sum + 1 / (1 + Math.exp(-value)), 0) / logits.length
}

/**
 * The logit of a float32 probability, clipped to 1e-7 and 1 − 1e-5: closer to 1, rounding of the probability would
 * dominate.
 */
export function logit(probability: number): number {
  const p = Math.min(1 - 1e-5, Math.max(1e-7, probability))
  return Math.log(p / (1 - p))
}

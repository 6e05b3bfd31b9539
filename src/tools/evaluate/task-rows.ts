import type { Violation } from '../../base/errors.ts'
import { murmur3, scatter } from '../../base/hash.ts'
import { mostBuckets } from '../../model/quality/bootstrap.ts'
import type { Groups } from '../../model/quality/ranking.ts'
import type { ScoredRows } from '../../model/quality/scored-rows.ts'
import { multiply } from '../../model/serving/calibration/calibrator.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'
import { type CellColumn, StringColumn } from '../data/columns.ts'
import type { Dataset } from '../data/dataset.ts'
import { ListColumn } from '../data/list-column.ts'
import { SpecError } from '../data/source.ts'
import { firstIndex } from '../data/split.ts'
import type { PredictorTask } from './predictor.ts'

/** Groups and buckets of the bootstrap of some rows of a data set. */
export interface RowGroups {
  /** Undefined where the rows have no groups: then each is one. */
  groups: Groups | undefined
  /** Per row, below `count`. */
  buckets: Uint32Array
  count: number
}

/** The rows of a task's sample space. Arrays have one element per row. */
export interface TaskRows extends Omit<ScoredRows, 'predictions'> {
  name: string
  /** Positions among the judged rows. */
  positions: Int32Array
  labels: Uint8Array
  weights: Float64Array | undefined
  /** True probabilities, where the data has them. */
  oracle: Float64Array | undefined
  positives: number
}

/** Groups of the rows, numbered in the order of their first row. A row without a group is its own. */
export function groupRows(dataset: Pick<Dataset, 'groups'>, rows: Int32Array): RowGroups {
  const { groups: column } = dataset
  const buckets = new Uint32Array(rows.length)
  if (column === undefined) {
    const count = Math.min(mostBuckets, rows.length)
    rows.forEach((row, i) => {
      buckets[i] = rows.length <= mostBuckets ? i : scatter(row) % mostBuckets
    })
    return { groups: undefined, buckets, count }
  }
  const of = new Uint32Array(rows.length)
  const numbers = new Map<number, number>()
  const names: string[] = []
  rows.forEach((row, i) => {
    const code = column.codeAt(row)
    let number = code < 0 ? undefined : numbers.get(code)
    if (number === undefined) {
      number = names.length
      names.push(code < 0 ? `\0${row}` : column.values[code]!)
      if (code >= 0) numbers.set(code, number)
    }
    of[i] = number
  })
  // By name, so that the same groups share a bucket in every evaluation.
  const bucketOf = names.map((name, number) => (names.length <= mostBuckets ? number : murmur3(name, 0) % mostBuckets))
  for (let i = 0; i < of.length; i++) buckets[i] = bucketOf[of[i]!]!
  return { groups: { of, count: names.length }, buckets, count: Math.min(mostBuckets, names.length) }
}

/**
 * The labelled rows of each task and derived task that the spec has labels for. A derived task without labels of its
 * own has those of its factors: 0 if one is 0, 1 if all are 1, else none.
 *
 * Throws a SpecError if the spec names a task that the version lacks.
 */
export function taskRows(
  { file, spec }: { file: string; spec: RowsSpec },
  tasks: readonly PredictorTask[],
  dataset: Dataset,
  rows: Int32Array,
  { groups, buckets }: RowGroups,
): TaskRows[] {
  checkTasks(file, spec, tasks)
  const found: TaskRows[] = []
  for (const task of tasks) {
    const { name } = task
    const indexes = labelsOf(spec, task)
    if (indexes === undefined) continue
    const labelOf = productLabel(indexes.map((task) => dataset.labels[task]!))
    const oracles = indexes.map((task) => dataset.oracles[task])
    const oracle = oracles.every((values) => values !== undefined) ? multiply(oracles, dataset.rows) : undefined
    const shares = indexes.map((task) => spec.tasks[task]!.negatives_kept ?? 1)
    /** How many rows a row stands for: its negative label was kept with some probability. */
    const timesOf = (row: number) =>
      indexes.reduce((times, task, i) => (dataset.labels[task]![row] === 0 ? times / shares[i]! : times), 1)
    const sampled = shares.some((share) => share !== 1) ? { shares, timesOf } : undefined
    found.push(select(name, dataset, rows, { labelOf, oracle, sampled, groups, buckets }))
  }
  return found
}

/** Names of the tasks and derived tasks that the spec has labels for. */
export function labelledTasks(spec: Pick<RowsSpec, 'tasks'>, tasks: readonly PredictorTask[]): string[] {
  return tasks.filter((task) => labelsOf(spec, task) !== undefined).map(({ name }) => name)
}

/** Indexes of a task's labels in the spec: its own, else those of its factors. Undefined if some are missing. */
function labelsOf(spec: Pick<RowsSpec, 'tasks'>, { name, product }: PredictorTask): number[] | undefined {
  const indexOf = (wanted: string) => spec.tasks.findIndex((task) => task.name === wanted)
  const own = indexOf(name)
  const indexes = own < 0 ? product?.map(indexOf) : [own]
  return indexes?.includes(-1) ? undefined : indexes
}

/** The label of a product of tasks, per row: 0 if one label is 0, 1 if all are 1, −1 if it is unknown. */
export function productLabel(labels: readonly Int8Array[]): (row: number) => number {
  const [only] = labels
  if (labels.length === 1) return (row) => only![row]!
  return (row) => {
    let unknown = false
    for (const column of labels) {
      if (column[row] === 0) return 0
      unknown ||= column[row] === -1
    }
    return unknown ? -1 : 1
  }
}

interface Selection {
  labelOf(row: number): number
  oracle: Float64Array | undefined
  /** Undefined where every row stands for itself. */
  sampled: { shares: number[]; timesOf(row: number): number } | undefined
  groups: Groups | undefined
  buckets: Uint32Array
}

function select(
  name: string,
  dataset: Dataset,
  rows: Int32Array,
  { labelOf, oracle, sampled, groups, buckets }: Selection,
): TaskRows {
  const every = new Int32Array(rows.length)
  const known = new Uint8Array(rows.length)
  let next = 0
  let positives = 0
  for (let i = 0; i < rows.length; i++) {
    const label = labelOf(rows[i]!)
    if (label < 0) continue
    every[next] = i
    known[next++] = label
    positives += label
  }
  const positions = every.slice(0, next)
  const labels = known.slice(0, next)
  const own = dataset.weights && Float64Array.from(positions, (i) => dataset.weights![rows[i]!]!)
  return {
    name,
    positions,
    labels,
    weights: sampled ? Float64Array.from(positions, (i, at) => (own?.[at] ?? 1) * sampled.timesOf(rows[i]!)) : own,
    ...(sampled && { kept: { own, shares: sampled.shares } }),
    groups: groups && { of: pickOf(groups.of, positions), count: groups.count },
    buckets: pickOf(buckets, positions),
    oracle: oracle && Float64Array.from(positions, (i) => oracle[rows[i]!]!),
    positives,
  }
}

function pickOf(values: Uint32Array, positions: Int32Array): Uint32Array {
  const picked = new Uint32Array(positions.length)
  for (let i = 0; i < positions.length; i++) picked[i] = values[positions[i]!]!
  return picked
}

/** Throws a SpecError if the spec names a task that the version lacks. */
export function checkTasks(file: string, spec: Pick<RowsSpec, 'tasks'>, tasks: readonly { name: string }[]): void {
  const names = tasks.map(({ name }) => name)
  const problems = spec.tasks.flatMap(({ name }, index): Violation[] =>
    names.includes(name)
      ? []
      : [
          {
            path: `/tasks/${index}/name`,
            message: `${JSON.stringify(name)} is no task of the model: ${names.join(', ')}`,
          },
        ],
  )
  if (problems.length > 0) throw new SpecError(file, problems)
}

/** Number of the rows that also occur among the training rows, with the same fields and labels. */
export function repeatedRows(dataset: Dataset, rows: Int32Array): number {
  const { parts, repeatedTests } = dataset
  const { train } = parts
  if (rows === parts.test && repeatedTests !== undefined) return repeatedTests
  if (train.length === 0 || rows === train) return 0
  const hash = rowHash(dataset)
  // A set of them would take several times the memory.
  const trained = new Float64Array(train.length)
  for (let i = 0; i < train.length; i++) trained[i] = hash(train[i]!)
  trained.sort()
  let repeated = 0
  for (const row of rows) {
    const sought = hash(row)
    if (trained[firstIndex(trained, sought)] === sought) repeated++
  }
  return repeated
}

/** Hashes a row's fields and labels to 52 bits: of a million rows hardly two different ones meet. */
function rowHash({ cells, labels }: Dataset): (row: number) => number {
  const bits = new Float64Array(1)
  const words = new Uint32Array(bits.buffer)
  const codeOf = (column: CellColumn, row: number): number => {
    if (column instanceof StringColumn) return column.codeAt(row)
    bits[0] = (column.at(row) as number | null) ?? Number.NaN
    return words[0]! ^ Math.imul(words[1]!, 0x9e3779b1)
  }
  return (row) => {
    let [a, b] = [0x811c9dc5, 0x2545f491]
    const add = (value: number) => {
      a = Math.imul(a ^ value, 0x01000193)
      a ^= a >>> 15
      b = Math.imul(b ^ (value + 0x7feb352d), 0x846ca68b)
      b ^= b >>> 13
    }
    for (const column of cells) {
      if (!(column instanceof ListColumn)) {
        add(codeOf(column, row))
        continue
      }
      const [start, length] = [column.startOf(row), column.lengthOf(row)]
      add(length)
      for (let i = 0; i < length; i++) {
        add(codeOf(column.values, start + i))
        if (column.weights) add(codeOf(column.weights, start + i))
      }
    }
    for (const column of labels) add(column[row]!)
    return (a >>> 0) + (b & 0xfffff) * 2 ** 32
  }
}

import { ModelError, type Violation } from '../../../base/errors.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { Outputs } from '../../contracts/engine.ts'
import type { PredictionTable } from '../../contracts/prediction.ts'
import { createCalibrator, createDerivedCalculator, multiply } from '../calibration/calibrator.ts'
import type { FetchNotes } from '../features/fetched.ts'
import type { EncodedRequest, Layout } from '../features/layout.ts'
import { invalidRequest, maxViolations } from '../features/problems.ts'
import { bindingsOf } from './bindings.ts'
import type { RequestPlan } from './request-plan.ts'

/**
 * Turns a graph's outputs into what was asked for: calibrates, then composes, then ranks. A row whose answer is no
 * number is the request's fault: it is left out with `partial`, else INVALID_REQUEST is thrown; a number that is no
 * probability is MODEL_FAILED.
 */
export type Composer = (plan: RequestPlan, request: EncodedRequest, outputs: Outputs) => PredictionTable

/** `anyNumber`: of a graph without a manifest nothing says that what it answers are probabilities. */
export function createComposer(manifest: Manifest, layout: Pick<Layout, 'dense'>, anyNumber = false): Composer {
  const places = new Map([...manifest.tasks, ...manifest.derived].map(({ name }, place) => [name, place]))
  const calibrators = manifest.tasks.map(({ calibration }) => createCalibrator(calibration))
  const derived = manifest.derived.map((task) => ({
    factors: task.product.map((name) => places.get(name)!),
    compute: createDerivedCalculator(task),
  }))
  const output = bindingsOf(manifest).probabilities
  const width = manifest.tasks.length
  // A graph that answers logits may answer some within 0 … 1 by chance.
  const remedy =
    manifest.graph.outputs.activation === undefined
      ? '; if it answers logits, its manifest needs graph.outputs.activation'
      : ''
  const [least, most] = anyNumber ? [-Number.MAX_VALUE, Number.MAX_VALUE] : [0, 1]

  const compose: Composer = (plan, request, outputs) => {
    const { rows } = request
    const probabilities = rows === 0 ? new Float32Array() : outputs[output]
    if (probabilities === undefined || probabilities.length !== rows * width) {
      throw new ModelError(
        'MODEL_FAILED',
        `The model answered ${probabilities?.length ?? 'no'} probabilities for ${rows} rows and ${width} tasks`,
      )
    }
    /** Known values of tasks and derived tasks, by their places. */
    const known: (Float64Array | undefined)[] = []

    /** Entries that have no number as an answer. */
    let failed: Set<number> | undefined

    const rawOf = (column: number): Float64Array => {
      const values = new Float64Array(rows)
      for (let row = 0; row < rows; row++) {
        const value = probabilities[row * width + column]!
        // Also false for NaN, which would not be JSON.
        if (!(value >= least && value <= most)) {
          if (Number.isFinite(value))
            throw new ModelError(
              'MODEL_FAILED',
              `The model answered ${value} as the probability of ${manifest.tasks[column]!.name} for row ${row}${remedy}`,
            )
          failed ??= new Set()
          failed.add(row)
        }
        values[row] = value
      }
      return values
    }
    const calibrated = (column: number): Float64Array => {
      const values = rawOf(column)
      const calibrate = calibrators[column]!
      for (let row = 0; row < rows; row++) values[row] = calibrate(values[row]!)
      return values
    }
    const probabilityAt = (place: number): Float64Array => {
      let values = known[place]
      if (values === undefined) {
        const task = place < width ? undefined : derived[place - width]!
        values = task ? task.compute(task.factors.map(probabilityAt), rows) : calibrated(place)
        known[place] = values
      }
      return values
    }

    const probabilityOf = (name: string) => probabilityAt(places.get(name)!)

    const table: PredictionTable = {
      requested: request.requested,
      index: request.index,
      scores: undefined,
      tasks: plan.tasks.map((name) => [name, probabilityOf(name)]),
      raw: plan.raw.length > 0 ? plan.raw.map((name) => [name, rawOf(places.get(name)!)]) : undefined,
      gates:
        plan.gates.length > 0
          ? plan.gates.map(([name, gate]) => [name, outputs[gate] ?? new Float32Array()])
          : undefined,
      ids: request.ids,
      unknown: request.unknown,
      cut: request.cut,
      fetched: plan.features && request.fetched ? perRow(request.fetched, request.requested) : undefined,
      problems: request.problems,
    }
    const ranking = plan.rank && multiply(plan.rank.tasks.map(probabilityOf), rows)
    if (failed !== undefined) {
      const problems = uncomputable(request, layout, failed, plan.partial)
      return compose(plan, withoutRows(request, failed, problems), pickOutputs(outputs, failed, rows))
    }
    return plan.rank ? rank(table, plan.rank, ranking!, request) : table
  }
  return compose
}

/** The notes, with null for rows without a key. */
function perRow({ context, candidates }: FetchNotes, requested: number): PredictionTable['fetched'] {
  return { context, candidates: Array.from({ length: requested }, (_, row) => candidates[row] ?? null) }
}

/** Numbers beyond it overflow float32 once they are squared. */
const large = 1e18

/**
 * The problems of rows for which the graph computes no number; throws INVALID_REQUEST unless they are left out
 * (`partial`).
 */
function uncomputable(
  request: EncodedRequest,
  { dense }: Pick<Layout, 'dense'>,
  failed: ReadonlySet<number>,
  partial: boolean,
): Violation[] {
  const problems = [...request.problems]
  for (const entry of [...failed].sort((a, b) => a - b)) {
    if (problems.length >= maxViolations) break
    let largest: number | undefined
    const size = (column: number) => Math.abs(request.dense[entry * dense.length + column]!)
    for (let column = 0; column < dense.length; column++)
      if (largest === undefined || size(column) > size(largest)) largest = column
    const field = largest === undefined ? undefined : dense[largest]!.field.name
    const why = largest !== undefined && size(largest) > large ? `: ${field} is too large for float32 arithmetic` : ''
    const place = request.index?.[entry] ?? entry
    problems.push({ path: request.placeOf(place, field), message: `can't be computed${why || ' from these values'}` })
  }
  if (!partial) throw invalidRequest(problems)
  return problems
}

/** The request without these entries. Its encoded rows are no longer of use. */
function withoutRows(request: EncodedRequest, left: ReadonlySet<number>, problems: Violation[]): EncodedRequest {
  const kept = keptOf(left, request.rows)
  return {
    ...request,
    rows: kept.length,
    index: Int32Array.from(kept, (entry) => request.index?.[entry] ?? entry),
    problems,
  }
}

function pickOutputs(outputs: Outputs, left: ReadonlySet<number>, rows: number): Outputs {
  const kept = keptOf(left, rows)
  return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, pickRows(values, kept, rows)]))
}

function keptOf(left: ReadonlySet<number>, rows: number): number[] {
  return Array.from({ length: rows }, (_, entry) => entry).filter((entry) => !left.has(entry))
}

/** Best first; equal scores keep the request's order. */
function rank(
  table: PredictionTable,
  { bids, topK }: NonNullable<RequestPlan['rank']>,
  probability: Float64Array,
  request: EncodedRequest,
): PredictionTable {
  const place = (entry: number) => table.index?.[entry] ?? entry
  const scores = bids
    ? probability.map((value, entry) => 1000 * (request.bids?.[place(entry)] ?? 0) * value)
    : probability
  const order = Array.from(scores, (_, entry) => entry)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, topK)
  const pick = ([name, values]: [string, Float64Array]): [string, Float64Array] => [
    name,
    Float64Array.from(order, (entry) => values[entry]!),
  ]
  return {
    ...table,
    index: Int32Array.from(order, place),
    scores: Float64Array.from(order, (entry) => scores[entry]!),
    tasks: table.tasks.map(pick),
    raw: table.raw?.map(pick),
    gates: table.gates?.map(([name, weights]) => [name, pickRows(weights, order, scores.length)]),
  }
}

function pickRows(values: Float32Array, order: number[], rows: number): Float32Array {
  const width = rows === 0 ? 0 : values.length / rows
  const picked = new Float32Array(order.length * width)
  for (const [i, row] of order.entries()) picked.set(values.subarray(row * width, (row + 1) * width), i * width)
  return picked
}

import type { Manifest } from '../../schemas/manifest.ts'
import { createCalibrator } from '../calibration/calibrator.ts'
import type { Outputs } from '../engines/engine.ts'
import { ModelError } from '../errors.ts'
import type { EncodedRequest } from '../features/layout.ts'
import type { PredictionTable } from './answer.ts'
import { portsOf } from './inputs.ts'
import type { Plan } from './query.ts'

/** Turns a graph's outputs into what was asked for: calibrates, then composes, then ranks. */
export type Composer = (plan: Plan, request: EncodedRequest, outputs: Outputs) => PredictionTable

/** `anyNumber`: of a graph without a manifest nothing says that what it answers are probabilities. */
export function createComposer(manifest: Manifest, anyNumber = false): Composer {
  const columns = new Map(manifest.tasks.map(({ name }, column) => [name, column]))
  const calibrators = new Map(manifest.tasks.map(({ name, calibration }) => [name, createCalibrator(calibration)]))
  const products = new Map(manifest.derived.map(({ name, product }) => [name, product]))
  const output = portsOf(manifest).probabilities
  const width = manifest.tasks.length
  const [least, most] = anyNumber ? [-Number.MAX_VALUE, Number.MAX_VALUE] : [0, 1]

  return (plan, request, outputs) => {
    const { rows } = request
    const probabilities = rows === 0 ? new Float32Array() : outputs[output]
    if (probabilities === undefined || probabilities.length !== rows * width) {
      throw new ModelError(
        'MODEL_FAILED',
        `The model answered ${probabilities?.length ?? 'no'} probabilities for ${rows} rows and ${width} tasks`,
      )
    }
    const calibrated = new Map<string, Float64Array>()

    const rawOf = (name: string): Float64Array => {
      const column = columns.get(name)!
      const values = new Float64Array(rows)
      for (let row = 0; row < rows; row++) {
        const value = probabilities[row * width + column]!
        // Also false for NaN, which would not be JSON.
        if (!(value >= least && value <= most))
          throw new ModelError(
            'MODEL_FAILED',
            `The model answered ${value} as the probability of ${name} for row ${row}`,
          )
        values[row] = value
      }
      return values
    }
    const probabilityOf = (name: string): Float64Array => {
      let values = calibrated.get(name)
      if (values === undefined) {
        const product = products.get(name)
        values = product ? multiply(product.map(probabilityOf), rows) : rawOf(name).map(calibrators.get(name)!)
        calibrated.set(name, values)
      }
      return values
    }

    const table: PredictionTable = {
      requested: request.requested,
      index: request.index,
      scores: undefined,
      tasks: plan.tasks.map((name) => [name, probabilityOf(name)]),
      raw: plan.raw.length > 0 ? plan.raw.map((name) => [name, rawOf(name)]) : undefined,
      gates:
        plan.gates.length > 0
          ? plan.gates.map(([name, gate]) => [name, outputs[gate] ?? new Float32Array()])
          : undefined,
      ids: request.ids,
      problems: request.problems,
    }
    return plan.rank ? rank(table, plan.rank, multiply(plan.rank.tasks.map(probabilityOf), rows), request) : table
  }
}

function multiply(factors: Float64Array[], rows: number): Float64Array {
  const product = new Float64Array(rows).fill(1)
  for (const factor of factors) for (let row = 0; row < rows; row++) product[row]! *= factor[row]!
  return product
}

/** Best first; equal scores keep the request's order. */
function rank(
  table: PredictionTable,
  { bids, topK }: NonNullable<Plan['rank']>,
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

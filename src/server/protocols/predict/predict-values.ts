import type { CandidateId, PredictionTable } from '../../../model/contracts/prediction.ts'
import type { Prediction, PredictionColumns } from '../../../schemas/predict.ts'
import { eachPlace } from './predict-answer.ts'

/*
 * Predictions as values, for callers in the same process: those that predict-answer.ts writes, with all digits.
 */

/** One object per candidate; null in place of an omitted row. */
export function toRows(table: PredictionTable): (Prediction | null)[] {
  const { tasks, raw, gates, scores, ids, unknown, cut } = table
  const entries = tasks[0]?.[1].length ?? 0
  const rows: (Prediction | null)[] = []
  eachPlace(table, (entry, place) => {
    if (entry === undefined) {
      rows.push(null)
      return
    }
    const row: Record<string, unknown> = {}
    const id = ids?.at(place)
    if (id !== undefined) row.id = id
    for (const [name, values] of tasks) row[name] = values[entry]
    if (raw) row.raw = Object.fromEntries(raw.map(([name, values]) => [name, values[entry]]))
    if (gates) row.gates = Object.fromEntries(gates.map(([name, weights]) => [name, gateOf(weights, entry, entries)]))
    if (unknown) row.unknown = unknown[place] ?? []
    if (cut) row.cut = cut[place] ?? []
    if (scores) {
      row.score = scores[entry]
      row.index = place
    }
    rows.push(row as Prediction)
  })
  return rows
}

/** One array a column; null in the place of a row left out. */
export function toColumns(table: PredictionTable): PredictionColumns {
  const { tasks, raw, gates, scores, ids } = table
  const entries = tasks[0]?.[1].length ?? 0
  const column = <T>(value: (entry: number) => T): (T | null)[] => {
    const values: (T | null)[] = []
    eachPlace(table, (entry) => values.push(entry === undefined ? null : value(entry)))
    return values
  }
  const columns: Record<string, unknown> = {}
  if (ids) {
    const values: (CandidateId | null)[] = []
    eachPlace(table, (_, place) => values.push(ids.at(place) ?? null))
    columns.id = values
  }
  for (const [name, values] of tasks) columns[name] = column((entry) => values[entry])
  if (raw) columns.raw = Object.fromEntries(raw.map(([name, values]) => [name, column((entry) => values[entry])]))
  if (gates) {
    columns.gates = Object.fromEntries(
      gates.map(([name, weights]) => [name, column((entry) => gateOf(weights, entry, entries))]),
    )
  }
  for (const [name, fields] of [
    ['unknown', table.unknown],
    ['cut', table.cut],
  ] as const) {
    if (fields === undefined) continue
    const column: (string[] | null)[] = []
    eachPlace(table, (_, place) => column.push(fields[place] ?? null))
    columns[name] = column
  }
  if (scores) {
    const places: number[] = []
    eachPlace(table, (_, place) => places.push(place))
    columns.score = column((entry) => scores[entry])
    columns.index = places
  }
  return columns as PredictionColumns
}

/** The weight of each expert. */
function gateOf(weights: Float32Array, entry: number, entries: number): number[] {
  const experts = weights.length / entries
  return Array.from(weights.subarray(entry * experts, (entry + 1) * experts))
}

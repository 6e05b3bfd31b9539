import type { Problem } from '../errors.ts'

/** Predictions by column: entry i of every column belongs to the same candidate. */
export interface PredictionTable {
  /** Rows of the request. */
  requested: number
  /** Place in the request of each entry: where rows were left out, or an order was asked for; else entry i is row i. */
  index: Int32Array | undefined
  /** Set where an order was asked for: what it went by. */
  scores: Float64Array | undefined
  /** Calibrated probabilities, per task asked for. */
  tasks: [name: string, probabilities: Float64Array][]
  /** Raw probabilities, where asked for. */
  raw: [name: string, probabilities: Float64Array][] | undefined
  /** Gate weights, where asked for: [entries, experts], row-major. */
  gates: [name: string, weights: Float32Array][] | undefined
  /** Per row of the request. */
  ids: (string | undefined)[] | undefined
  /** What is wrong with rows left out. */
  problems: Problem[]
}

type Row = Record<string, unknown>

/** One object a candidate; null in the place of a row left out. */
export function toRows(table: PredictionTable): (Row | null)[] {
  const { index, scores, ids } = table
  const entries = table.tasks[0]?.[1].length ?? 0
  const ranked = scores !== undefined
  const answer: (Row | null)[] = ranked ? [] : new Array(table.requested).fill(null)
  for (let i = 0; i < entries; i++) {
    const place = index === undefined ? i : index[i]!
    const row: Row = {}
    const id = ids?.[place]
    if (id !== undefined) row.id = id
    for (const [name, values] of table.tasks) row[name] = short(values[i]!)
    if (table.raw) row.raw = Object.fromEntries(table.raw.map(([name, values]) => [name, short(values[i]!)]))
    if (table.gates)
      row.gates = Object.fromEntries(table.gates.map(([name, weights]) => [name, gateRow(weights, i, entries)]))
    if (ranked) {
      row.score = short(scores[i]!)
      row.index = place
      answer.push(row)
    } else answer[place] = row
  }
  return answer
}

/** One array a column; null in the place of a row left out. */
export function toColumns(table: PredictionTable): Record<string, unknown> {
  const { index, scores, ids } = table
  const entries = table.tasks[0]?.[1].length ?? 0
  const ranked = scores !== undefined
  const places = ranked ? undefined : index
  const spread = <T>(value: (entry: number) => T): (T | null)[] => {
    const column: (T | null)[] = new Array(places ? table.requested : entries).fill(null)
    for (let i = 0; i < entries; i++) column[places ? places[i]! : i] = value(i)
    return column
  }
  const shorts = ([name, values]: [string, Float64Array]) => [name, spread((i) => short(values[i]!))]
  const answer: Record<string, unknown> = {}
  if (ids) answer.id = ranked ? spread((i) => ids[index?.[i] ?? i] ?? null) : Array.from(ids, (id) => id ?? null)
  for (const task of table.tasks) Object.assign(answer, Object.fromEntries([shorts(task)]))
  if (table.raw) answer.raw = Object.fromEntries(table.raw.map(shorts))
  if (table.gates) {
    answer.gates = Object.fromEntries(
      table.gates.map(([name, weights]) => [name, spread((i) => gateRow(weights, i, entries))]),
    )
  }
  if (ranked) {
    answer.score = spread((i) => short(scores[i]!))
    answer.index = spread((i) => index?.[i] ?? i)
  }
  return answer
}

function gateRow(weights: Float32Array, entry: number, entries: number): number[] {
  const experts = weights.length / entries
  return Array.from(weights.subarray(entry * experts, (entry + 1) * experts), short)
}

/** The usual powers of ten, looked up. */
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent)

/**
 * Eight significant digits: as exact as float32, in half the characters. An integer divided by a power of ten is the
 * double nearest to that decimal, which is then written in its shortest form.
 */
function short(value: number): number {
  if (value === 0) return value
  const exponent = 7 - Math.floor(Math.log10(Math.abs(value)))
  const scale = powersOfTen[exponent] ?? 10 ** exponent
  const rounded = Math.round(value * scale) / scale
  return Number.isFinite(rounded) ? rounded : value
}

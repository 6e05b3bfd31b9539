import { KeyList } from '../../../model/contracts/key-list.ts'
import type { CandidateId, CandidateIds, PredictionTable } from '../../../model/contracts/prediction.ts'
import type { Prediction, PredictionColumns } from '../../../schemas/predict.ts'
import { JsonWriter } from '../json-writer.ts'

/** The members of an answer that stand around the predictions. */
export interface AnswerHeader {
  model: string
  version: string
  request_id: string
}

/** The response as JSON, in UTF-8: predictions as rows or columns, and the problems of omitted rows. */
export function writeAnswer(header: AnswerHeader, table: PredictionTable, form: 'rows' | 'columns'): Buffer {
  const json = new JsonWriter(sizeOf(table))
  const { model, version, request_id: id } = header
  json.raw(modelKey)
  json.string(model)
  json.raw(versionKey)
  json.string(version)
  json.raw(requestIdKey)
  json.string(id)
  json.raw(predictionsKey)
  if (form === 'rows') writeRows(json, table)
  else writeColumns(json, table)
  if (table.problems.length > 0) json.text(`,"errors":${JSON.stringify(table.problems)}`)
  if (table.fetched) json.text(`,"features":${JSON.stringify(table.fetched)}`)
  json.byte(closeBrace)
  return json.finish()
}

/** One object per candidate; null in place of an omitted row. */
function writeRows(json: JsonWriter, table: PredictionTable): void {
  const { scores, ids, unknown, cut } = table
  const entries = entriesOf(table)
  const tasks = table.tasks.map(([name, values], i) => ({ key: jsonKey(name, i === 0), values }))
  const firstAfterId = jsonKey(table.tasks[0]?.[0] ?? '', false)
  const raw = table.raw?.map(([name, values], i) => ({ key: jsonKey(name, i === 0), values }))
  const gates = table.gates?.map(([name, weights], i) => ({ key: jsonKey(name, i === 0), weights }))
  json.byte(openBracket)
  eachPlace(table, (entry, place, first) => {
    if (!first) json.byte(comma)
    if (entry === undefined) {
      json.raw(nothing)
      return
    }
    const isNamed = hasId(ids, place)
    if (isNamed) {
      json.raw(idKey)
      json.idAt(ids, place)
    } else json.byte(openBrace)
    for (let i = 0; i < tasks.length; i++) {
      const { key, values } = tasks[i]!
      json.raw(i === 0 && isNamed ? firstAfterId : key)
      json.number(values[entry]!)
    }
    if (raw) {
      json.raw(rawKey)
      json.byte(openBrace)
      for (const { key, values } of raw) {
        json.raw(key)
        json.number(values[entry]!)
      }
      json.byte(closeBrace)
    }
    if (gates) {
      json.raw(gatesKey)
      json.byte(openBrace)
      for (const { key, weights } of gates) {
        json.raw(key)
        writeGate(json, weights, entry, entries)
      }
      json.byte(closeBrace)
    }
    if (unknown) {
      json.raw(unknownKey)
      json.text(JSON.stringify(unknown[place] ?? []))
    }
    if (cut) {
      json.raw(cutKey)
      json.text(JSON.stringify(cut[place] ?? []))
    }
    if (scores) {
      json.raw(scoreKey)
      json.number(scores[entry]!)
      json.raw(indexKey)
      json.integer(place)
    }
    json.byte(closeBrace)
  })
  json.byte(closeBracket)
}

/** Whether a candidate has an id to echo. */
export function hasId(ids: CandidateIds | undefined, place: number): ids is CandidateIds {
  return ids instanceof KeyList || ids?.[place] !== undefined
}

/** One array a column; null in the place of a row left out. */
function writeColumns(json: JsonWriter, table: PredictionTable): void {
  const { scores, ids } = table
  const entries = entriesOf(table)
  let begun = false
  const column = (name: string, write: (entry: number | undefined, place: number) => void) => {
    json.raw(jsonKey(name, !begun))
    begun = true
    json.byte(openBracket)
    eachPlace(table, (entry, place, first) => {
      if (!first) json.byte(comma)
      write(entry, place)
    })
    json.byte(closeBracket)
  }
  const numbers = (values: Float64Array) => (entry: number | undefined) =>
    entry === undefined ? json.raw(nothing) : json.number(values[entry]!)
  const group = (name: string, write: () => void) => {
    json.raw(jsonKey(name, !begun))
    json.byte(openBrace)
    begun = false
    write()
    json.byte(closeBrace)
    begun = true
  }

  json.byte(openBrace)
  if (ids) column('id', (_, place) => json.idAt(ids, place))
  for (const [name, values] of table.tasks) column(name, numbers(values))
  const { raw, gates } = table
  if (raw) {
    group('raw', () => {
      for (const [name, values] of raw) column(name, numbers(values))
    })
  }
  if (gates) {
    group('gates', () => {
      for (const [name, weights] of gates) {
        column(name, (entry) => (entry === undefined ? json.raw(nothing) : writeGate(json, weights, entry, entries)))
      }
    })
  }
  const { unknown, cut } = table
  if (unknown) column('unknown', (_, place) => json.text(JSON.stringify(unknown[place] ?? null)))
  if (cut) column('cut', (_, place) => json.text(JSON.stringify(cut[place] ?? null)))
  if (scores) {
    column('score', numbers(scores))
    column('index', (_, place) => json.integer(place))
  }
  json.byte(closeBrace)
}

/** Ranked entries in their order; else every row of the request, with its entry where it was not left out. */
export function eachPlace(
  { index, scores, requested, tasks }: PredictionTable,
  visit: (entry: number | undefined, place: number, first: boolean) => void,
): void {
  const entries = tasks[0]?.[1].length ?? 0
  if (scores) {
    for (let entry = 0; entry < entries; entry++) visit(entry, index?.[entry] ?? entry, entry === 0)
    return
  }
  let entry = 0
  for (let place = 0; place < requested; place++) {
    const computed = entry < entries && (index === undefined || index[entry] === place)
    visit(computed ? entry++ : undefined, place, place === 0)
  }
}

function writeGate(json: JsonWriter, weights: Float32Array, entry: number, entries: number): void {
  const experts = weights.length / entries
  json.byte(openBracket)
  for (let i = 0; i < experts; i++) {
    if (i > 0) json.byte(comma)
    json.number(weights[entry * experts + i]!)
  }
  json.byte(closeBracket)
}

function entriesOf({ tasks }: PredictionTable): number {
  return tasks[0]?.[1].length ?? 0
}

/** Bytes that an answer usually takes. */
function sizeOf({ tasks, ids, scores, raw, gates, requested }: PredictionTable): number {
  const keys = tasks.reduce((sum, [name]) => sum + name.length + 16, 0)
  const experts = gates?.reduce((sum, [, weights]) => sum + weights.length * 12, 0) ?? 0
  return 512 + requested * (keys * (raw ? 2 : 1) + (ids ? 24 : 0) + (scores ? 40 : 0)) + experts
}

const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
const modelKey = Buffer.from('{"model":')
const versionKey = Buffer.from(',"version":')
const requestIdKey = Buffer.from(',"request_id":')
const predictionsKey = Buffer.from(',"predictions":')
const nothing = Buffer.from('null')
const idKey = Buffer.from('{"id":')
const rawKey = Buffer.from(',"raw":')
const gatesKey = Buffer.from(',"gates":')
const unknownKey = Buffer.from(',"unknown":')
const cutKey = Buffer.from(',"cut":')
const scoreKey = Buffer.from(',"score":')
const indexKey = Buffer.from(',"index":')

/** Names are tasks' and few. */
const keys = new Map<string, { first: Buffer; next: Buffer }>()
const mostKeys = 10_000

/** `"name":`, with a comma before it unless it is an object's first. */
export function jsonKey(name: string, first: boolean): Buffer {
  let known = keys.get(name)
  if (known === undefined) {
    const key = `${JSON.stringify(name)}:`
    known = { first: Buffer.from(key), next: Buffer.from(`,${key}`) }
    if (keys.size >= mostKeys) keys.clear()
    keys.set(name, known)
  }
  return first ? known.first : known.next
}

/*
 * Predictions as values, for callers in the same process: those that `writeAnswer` writes, with all digits.
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

import { KeyList } from '../../../model/contracts/key-list.ts'
import type { CandidateIds, PredictionTable } from '../../../model/contracts/prediction.ts'
import { JsonWriter } from '../json-writer.ts'
import { writeNumberRows } from '../number-rows.ts'

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
  if (isPlain(table)) {
    writePlainRows(json, table)
    return
  }
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

/** Whether the answer has an object of probabilities for each row, with an id in each of them or in none. */
function isPlain(table: PredictionTable): boolean {
  const { scores, raw, gates, unknown, cut, ids } = table
  if (!isWhole(table) || scores || raw || gates || unknown || cut) return false
  return ids === undefined || ids instanceof KeyList || !ids.includes(undefined)
}

/** Whether each row that was asked for has an entry, in order. */
function isWhole({ tasks, index, requested }: PredictionTable): boolean {
  return index === undefined && tasks[0]?.[1].length === requested
}

function writePlainRows(json: JsonWriter, { tasks, ids, requested }: PredictionTable): void {
  json.byte(openBracket)
  const columns = tasks.map(([name, values], i) => ({
    before: i === 0 && !ids ? Buffer.concat([nextRow, jsonKey(name, true)]) : jsonKey(name, false),
    values,
  }))
  writeNumberRows(json, columns, requested, rowEnd.length, ids && { before: nextId, ids })
  if (requested > 0) json.byte(closeBrace)
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
  const numbers = (name: string, values: Float64Array) => {
    if (!isWhole(table)) {
      column(name, (entry) => (entry === undefined ? json.raw(nothing) : json.number(values[entry]!)))
      return
    }
    json.raw(jsonKey(name, !begun))
    begun = true
    json.byte(openBracket)
    writeNumberRows(json, [{ before: nextValue, values }], table.requested, nextValue.length)
    json.byte(closeBracket)
  }
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
  for (const [name, values] of table.tasks) numbers(name, values)
  const { raw, gates } = table
  if (raw) {
    group('raw', () => {
      for (const [name, values] of raw) numbers(name, values)
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
    numbers('score', scores)
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
const nextValue = Buffer.from(',')
const rowEnd = Buffer.from('},')
const nextRow = Buffer.from('},{')
const nextId = Buffer.from('},{"id":')
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

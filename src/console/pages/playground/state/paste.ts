import { isObject } from '../../../../schemas/json.ts'
import { listed } from '../../../parts/format.ts'
import { candidateKey } from './entities.ts'
import { type Field, isItem, type Value, type Values, valueOfCell, valueOfJson, valuesOf } from './model.ts'

/** The most candidates that are taken; the server's own limit may be lower. */
export const mostCandidates = 10_000

/** The values that somebody pasted, as far as they fit the model. */
export interface Pasted {
  /** Absent where only candidates were pasted. */
  context?: Values
  candidates: Values[]
  moved: string[]
  /** Sentences about what was left out. */
  notes: string[]
}

/**
 * Reads candidates as CSV with a header row, whose lists are JSON arrays, as a JSON array of objects, or a body of
 * `POST /predict`. Throws what is wrong.
 */
export function readPasted(text: string, fields: readonly Field[]): Pasted {
  const trimmed = text.trim()
  if (trimmed === '') throw new Error('There is nothing to read')
  return /^[[{]/.test(trimmed) ? readJson(parse(trimmed), fields) : readTable(text, fields)
}

/** The same of parsed JSON: an array of candidates, one candidate, or a body. */
export function readJson(value: unknown, fields: readonly Field[]): Pasted {
  const keyName = candidateKey(fields)
  if (Array.isArray(value)) return fit(undefined, candidatesIn(value, keyName), fields)
  if (!isObject(value)) throw new Error('This is neither an array of candidates nor a body of /predict')
  if (hasFields(value)) {
    const { context, candidates } = readBody(value, keyName)
    return fit(context, candidates, fields)
  }
  for (const form of ['sparse', 'dense', 'inputs'])
    if (Object.hasOwn(value, form) && !fields.some(({ name }) => name === form))
      throw new Error('This body has encoded tensors; the form takes named fields')
  return fit(undefined, [rowOf(value)], fields)
}

/** Whether a body names fields, and does not have tensors. */
export const hasFields = (body: Record<string, unknown>): boolean =>
  Object.hasOwn(body, 'candidates') || Object.hasOwn(body, 'context')

/**
 * The context and the candidates of a body that names fields; without candidates, it is one. Throws what is wrong.
 * `keyName`: of the candidates that are a key alone.
 */
export function readBody(
  { context, candidates = [{}] }: Record<string, unknown>,
  keyName?: string,
): {
  context: Values
  candidates: Values[]
} {
  return {
    context: context === undefined || context === null ? {} : rowOf(context),
    candidates: Array.isArray(candidates) ? candidatesIn(candidates, keyName) : columns(candidates),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`This is not JSON: ${(error as Error).message}`)
  }
}

const candidatesIn = (candidates: readonly unknown[], keyName: string | undefined) =>
  candidates.map((one) => (keyName !== undefined && isItem(one) ? { [keyName]: one } : rowOf(one)))

function rowOf(value: unknown): Values {
  if (!isObject(value)) throw new Error('A candidate must be an object of values by field')
  return valuesOf(Object.entries(value).map(([name, cell]) => [name, valueOfJson(cell)]))
}

/** Candidates of an object of equally long arrays. */
function columns(value: unknown): Values[] {
  if (!isObject(value)) throw new Error('The candidates must be an array of objects, or an object of arrays')
  const entries = Object.entries(value).map(
    ([name, cells]) => [name, isObject(cells) ? listsOf(cells) : cells] as const,
  )
  const length = entries.reduce((most, [, cells]) => Math.max(most, Array.isArray(cells) ? cells.length : 0), 0)
  return Array.from({ length }, (_, i) =>
    rowOf(Object.fromEntries(entries.map(([name, cells]) => [name, Array.isArray(cells) ? cells[i] : undefined]))),
  )
}

/** The lists of a column that has all their values in one array. */
function listsOf({ values, offsets, weights }: Record<string, unknown>): unknown[] {
  if (!Array.isArray(values) || !Array.isArray(offsets))
    throw new Error('A column of lists must have values and offsets')
  return offsets.slice(1).map((end, row) => {
    const list = values.slice(offsets[row], end)
    return Array.isArray(weights) ? { values: list, weights: weights.slice(offsets[row], end) } : list
  })
}

function readTable(text: string, fields: readonly Field[]): Pasted {
  const { header, rows } = readCsv(text)
  const columns = new Map<string, Pick<Field, 'type' | 'list' | 'length'>>([
    ['id', { type: 'string' }],
    ['bid', { type: 'number' }],
    ...fields.map((field) => [field.name, field] as const),
  ])
  if (!header.some((name) => columns.has(name)))
    throw new Error('The first row must name the columns, such as id, bid and fields of the model')
  return fit(
    undefined,
    rows.map((row) =>
      valuesOf(header.map((name, i) => [name, valueOfCell(row[i] ?? '', columns.get(name) ?? { type: 'string' })])),
    ),
    fields,
  )
}

/** Leaves out what the model does not have, and puts each field where it was pasted. */
function fit(context: Values | undefined, rows: Values[], fields: readonly Field[]): Pasted {
  const byName = new Map(fields.map((field) => [field.name, field]))
  const unknown = new Set<string>()
  const notes: string[] = []
  const known = (name: string) => {
    if (byName.has(name)) return true
    unknown.add(name)
    return false
  }
  if (rows.length > mostCandidates) notes.push(`The first ${mostCandidates} of ${rows.length} candidates were taken.`)
  const candidates = rows
    .slice(0, mostCandidates)
    .map((row) => pick(row, (name) => name === 'id' || name === 'bid' || known(name)))
  const kept = context === undefined ? undefined : { ...pick(context, known) }
  const inContext = new Set(Object.keys(kept ?? {}))
  const inCandidates = new Set(candidates.flatMap((row) => Object.keys(row)))
  const moved = fields
    .filter(({ name, side }) =>
      side === 'context' ? inCandidates.has(name) : inContext.has(name) && !inCandidates.has(name),
    )
    .map(({ name }) => name)
  // A field may be in one place alone: candidates say more.
  for (const name of inContext) if (inCandidates.has(name)) delete kept![name]
  if (unknown.size > 0) notes.push(`Left out, since the model has no such field: ${listed([...unknown])}.`)
  return { ...(kept === undefined ? {} : { context: kept }), candidates, moved, notes }
}

function pick(values: Values, keep: (name: string) => boolean): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => keep(name)))
}

/** A table of text. */
export interface Table {
  header: string[]
  rows: string[][]
}

const delimiters = [',', ';', '\t'] as const

/**
 * Reads CSV (RFC 4180) with a header row, separated by commas, semicolons or tabs, as spreadsheets copy it. Empty lines
 * are left out. Throws where a quotation mark is not closed, or a row is longer than the header.
 */
export function readCsv(text: string): Table {
  const clean = text.replace(/^\uFEFF/, '')
  const records = split(clean, delimiterOf(clean))
  const [header, ...rows] = records
  if (header === undefined) throw new Error('There is nothing to read')
  const names = header.map((name) => name.trim())
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) !== i)
  if (twice !== undefined) throw new Error(`Two columns are called ${twice}`)
  for (const [i, row] of rows.entries())
    if (row.length > names.length)
      throw new Error(`Row ${i + 1} has ${row.length} values, but the header has ${names.length} columns`)
  return { header: names, rows }
}

/** The one that is most frequent in the header, outside quotation marks. */
function delimiterOf(text: string): string {
  const header = text.replace(/"(?:[^"]|"")*"/g, '').split(/\r?\n/, 1)[0] ?? ''
  const count = (delimiter: string) => header.split(delimiter).length
  return delimiters.reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best))
}

function split(text: string, delimiter: string): string[][] {
  // The text in quotation marks, the text that follows them or stands without, and the end of the cell.
  const cell = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"(?!"))?([^${delimiter}\\r\\n]*)(${delimiter}|\\r\\n?|\\n|$)`, 'y')
  const records: string[][] = []
  let record: string[] = []
  for (;;) {
    const [, quoted, rest = '', end] = cell.exec(text)!
    if (quoted === undefined && rest.startsWith('"')) throw new Error('A quotation mark is not closed')
    record.push((quoted ?? '').replaceAll('""', '"') + rest)
    if (end === delimiter) continue
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
    if (cell.lastIndex === text.length) return records
  }
}

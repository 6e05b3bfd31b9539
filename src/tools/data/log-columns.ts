import { inputFields } from '../../model/serving/features/table.ts'
import { isObject } from '../../schemas/json.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { LoggedCandidate, LogRecord } from '../../schemas/prediction-log.ts'
import type { Cell, Column, RowCell } from './source.ts'

type Type = Column['type']

/** A field, and where its cells are in a row. */
interface LogField {
  name: string
  type: Type
  index: number
  /** Where the weights of its list are. */
  weights: number
  /** Where its hash is, if it was logged so. */
  hash: number
}

/** The facts of a request. */
const ofRecords: Record<string, { type: Type; read(record: LogRecord): RowCell }> = {
  log_request: { type: 'string', read: (record) => record.request_id },
  log_trace: { type: 'string', read: (record) => record.trace_id ?? null },
  log_time: { type: 'double', read: (record) => Date.parse(record.time) / 1000 },
  log_version: { type: 'string', read: (record) => record.version ?? null },
  log_weight: { type: 'double', read: (record) => 1 / record.sample_rate },
}

/** The facts of a candidate. */
const ofCandidates: Record<string, { type: Type; read(candidate: LoggedCandidate): RowCell }> = {
  log_position: { type: 'double', read: (candidate) => candidate.position },
  log_id: { type: 'string', read: ({ id }) => (id === undefined ? null : String(id)) },
  log_bid: { type: 'double', read: (candidate) => candidate.bid ?? null },
  log_score: { type: 'double', read: (candidate) => candidate.score ?? null },
  log_rank: { type: 'double', read: (candidate) => candidate.rank ?? null },
}

/** The columns that the records of some versions have as rows. */
export class LogColumns {
  readonly columns: Column[] = []
  readonly names: ReadonlySet<string>
  readonly #fields: LogField[]
  readonly #records: { index: number; read(record: LogRecord): RowCell }[]
  readonly #candidates: { index: number; read(candidate: LoggedCandidate): RowCell }[]

  constructor(manifests: readonly Manifest[]) {
    const add = (name: string, type: Type): number => this.columns.push({ name, type }) - 1
    const known = new Map<string, { type: Type; isWeighted: boolean; isHashed: boolean }>()
    for (const manifest of manifests)
      for (const { name, type, isWeighted, isHashed } of fieldsOf(manifest)) {
        const before = known.get(name)
        if (before === undefined) known.set(name, { type, isWeighted, isHashed })
        else {
          // Texts may be numbers, and lists have cells of their own.
          if (before.type !== type) before.type = before.type === 'list' || type === 'list' ? 'list' : 'string'
          before.isWeighted ||= isWeighted
          before.isHashed ||= isHashed
        }
      }
    this.#fields = [...known].map(([name, { type, isWeighted, isHashed }]) => ({
      name,
      type,
      index: add(name, type),
      weights: isWeighted ? add(`${name}_weights`, 'list') : -1,
      hash: isHashed ? add(`${name}_hash`, 'string') : -1,
    }))
    const facts = <F extends { type: Type }>(all: Record<string, F>) =>
      Object.entries(all).map(([name, fact]) => ({ ...fact, index: add(name, fact.type) }))
    this.#records = facts(ofRecords)
    const tasks = new Set(manifests.flatMap((manifest) => manifest.tasks.map(({ name }) => name)))
    const served = new Set(manifests.flatMap((manifest) => manifest.derived.map(({ name }) => name)))
    const probability = (of: 'raw' | 'served', task: string) => ({
      type: 'double' as const,
      read: (candidate: LoggedCandidate): RowCell => candidate[of]?.[task] ?? null,
    })
    this.#candidates = facts({
      ...ofCandidates,
      ...Object.fromEntries([...tasks].map((task) => [`log_raw_${task}`, probability('raw', task)])),
      ...Object.fromEntries([...tasks, ...served].map((task) => [`log_served_${task}`, probability('served', task)])),
    })
    this.names = new Set(this.columns.map(({ name }) => name))
  }

  /** Fills a row with what a record says of all its candidates; the function that is returned, with one candidate's. */
  reader(record: LogRecord, row: RowCell[]): (candidate: LoggedCandidate) => void {
    for (const { index, read } of this.#records) row[index] = read(record)
    return (candidate) => {
      for (const { index, read } of this.#candidates) row[index] = read(candidate)
      for (const field of this.#fields) fill(row, field, servedValue(record, candidate, field.name))
    }
  }
}

/**
 * The value that a candidate was answered with, as it was sent: its own, else the context's, else those of tables.
 * Undefined: it had none.
 */
export function servedValue(
  { context, fetched }: Pick<LogRecord, 'context' | 'fetched'>,
  candidate: Pick<LoggedCandidate, 'fields' | 'fetched'>,
  name: string,
): unknown {
  for (const values of [candidate.fields, context, candidate.fetched, fetched])
    if (values !== undefined && Object.hasOwn(values, name)) return values[name]
  return undefined
}

function fill(row: RowCell[], { type, index, weights, hash }: LogField, value: unknown): void {
  if (hash >= 0) {
    // A hash is no value of the field.
    row[index] = null
    row[hash] = value === undefined || value === null ? null : JSON.stringify(value).replace(/^"|"$/g, '')
    return
  }
  const isWeighted = isObject(value) && Array.isArray(value.values)
  row[index] = cellOf(type, isWeighted ? value.values : value)
  if (weights >= 0) row[weights] = isWeighted ? (value.weights as RowCell) : null
}

function cellOf(type: Type, value: unknown): RowCell {
  if (value === undefined || value === null) return null
  if (type === 'list') return Array.isArray(value) ? value.map(scalar) : [scalar(value)]
  return type === 'string' ? String(value) : scalar(value)
}

const scalar = (value: unknown): Cell => (typeof value === 'boolean' ? Number(value) : (value as Cell))

function fieldsOf({ features, entities = {} }: Manifest) {
  const fields = inputFields(features).map((field) => {
    const { name, kind, log } = field
    const list = field.kind === 'vector' ? undefined : field.list
    const type: Type = kind === 'vector' || list ? 'list' : kind === 'numeric' ? 'double' : 'string'
    return { name, type, isWeighted: list?.weighted === true, isHashed: log === 'hash' }
  })
  const keys = Object.values(entities)
    .filter(({ key }) => !fields.some(({ name }) => name === key))
    .map(({ key, log }) => ({ name: key, type: 'string' as Type, isWeighted: false, isHashed: log === 'hash' }))
  return [...fields, ...keys]
}

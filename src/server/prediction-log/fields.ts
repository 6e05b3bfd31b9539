import { loggedHash } from '../../base/logged-hash.ts'
import { KeyList } from '../../model/contracts/key-list.ts'
import type { FetchNote } from '../../model/contracts/prediction.ts'
import { NumberMatrix } from '../../model/serving/features/number-matrix.ts'
import type { QueryRows } from '../../model/serving/prediction/query-rows.ts'
import { isObject } from '../../schemas/json.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { LoggedCandidate } from '../../schemas/prediction-log.ts'
import type { Judge, Unfamiliar } from './unfamiliar.ts'

/** Values that a request sent, by field. */
export interface SentFields {
  context: Kept | undefined
  candidates: SentCandidate[]
}

/** Values in the form in which they are logged, and what the version does not know of them. */
interface Kept extends Unfamiliar {
  values: Record<string, unknown>
}

type SentCandidate = Pick<LoggedCandidate, 'id' | 'bid' | 'fields'> & Partial<Unfamiliar>

/** How a property is logged, by its name, which adds what is unfamiliar of its value; undefined: it is not. */
export type Keep = (
  name: string,
) => ((value: unknown, found: Unfamiliar, other: (name: string) => unknown) => unknown) | undefined

/**
 * Keeps fields that a version knows, and keys of its entities, as its manifest has them logged. Those marked `log:
 * hash` need a secret: without one they are left out, as those marked `log: drop` are. `judges`: of fields.
 */
export function keepBy(
  { features, entities = {} }: Pick<Manifest, 'features' | 'entities'>,
  secret?: string,
  judges: ReadonlyMap<string, Judge> = new Map(),
): Keep {
  const marks = new Map<string, Mark>(features.map(({ name, log }) => [name, log]))
  for (const { key, log } of Object.values(entities)) marks.set(key, stricter(log, marks.get(key)))
  const hash = (value: unknown): unknown => {
    if (value === null) return null
    if (Array.isArray(value)) return value.map(hash)
    return loggedHash(value, secret!)
  }
  const ways = new Map<string, NonNullable<ReturnType<Keep>>>()
  for (const [name, mark] of marks) {
    if (mark === 'drop' || (mark === 'hash' && secret === undefined)) continue
    const judge = judges.get(name)
    ways.set(name, (given, found, other) => {
      const value = plain(given)
      judge?.(value, found, (name) => plain(other(name)))
      return mark === 'hash' ? hash(value) : value
    })
  }
  return (name) => ways.get(name)
}

/** A value as JSON has it: tensors have integers of 64 bits, and lists that are views of memory. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<unknown>, plain) : value
}

type Mark = 'hash' | 'drop' | undefined

/** The mark of a field that is a key, too. */
const stricter = (one: Mark, other: Mark): Mark => (one === 'drop' || other === 'drop' ? 'drop' : (one ?? other))

/** The values of a request by field; undefined where it sends tensors, which have no names of fields. */
export function sentFields(rows: QueryRows, keep: Keep, keyName: string | undefined): SentFields | undefined {
  if (rows.form !== 'rows' && rows.form !== 'columns') return undefined
  const context = isObject(rows.context) ? kept(rows.context, keep) : undefined
  if (rows.form === 'columns') return { context, candidates: ofColumns(rows.candidates, keep, keyName) }
  const { candidates } = rows
  if (candidates === undefined) return { context, candidates: [{}] }
  const all: readonly unknown[] = candidates instanceof KeyList ? candidates.texts() : (candidates as unknown[])
  return { context, candidates: all.map((candidate) => ofRow(candidate, keep, keyName)) }
}

function ofRow(candidate: unknown, keep: Keep, keyName: string | undefined): SentCandidate {
  if (!isObject(candidate)) return keyName === undefined ? {} : ofRow({ [keyName]: candidate }, keep, keyName)
  return withFields(candidate.id, candidate.bid, kept(candidate, keep), keyName)
}

function ofColumns(columns: unknown, keep: Keep, keyName: string | undefined): SentCandidate[] {
  const readers = new Map(isObject(columns) ? Object.entries(columns).map(([name, of]) => [name, readerOf(of)]) : [])
  const fields = [...readers].flatMap(([name, { at }]) => {
    const way = keep(name)
    return way === undefined ? [] : [{ name, at, way }]
  })
  let rows = 0
  for (const reader of readers.values()) rows = Math.max(rows, reader.rows)
  const [ids, bids] = [readers.get('id'), readers.get('bid')]
  return Array.from({ length: rows }, (_, row) => {
    const found: Kept = { values: {}, unknown: undefined, cut: undefined }
    const other = (name: string) => readers.get(name)?.at(row)
    for (const { name, at, way } of fields) found.values[name] = way(at(row), found, other)
    return withFields(ids?.at(row), bids?.at(row), found, keyName)
  })
}

interface ColumnReader {
  rows: number
  at(row: number): unknown
}

/** Values, or lists as values and offsets. */
function readerOf(column: unknown): ColumnReader {
  if (column instanceof KeyList) return { rows: column.length, at: (row) => column.at(row) }
  if (column instanceof NumberMatrix) return { rows: 0, at: () => undefined }
  if (Array.isArray(column) || ArrayBuffer.isView(column)) {
    const values = column as unknown as ArrayLike<unknown>
    return { rows: values.length, at: (row) => values[row] }
  }
  const { values, offsets, weights } = column as Record<'values' | 'offsets' | 'weights', ArrayLike<unknown>>
  const part = (of: ArrayLike<unknown>, row: number) =>
    Array.prototype.slice.call(of, offsets[row] as number, offsets[row + 1] as number)
  return {
    rows: offsets.length - 1,
    at: (row) =>
      weights === undefined ? part(values, row) : { values: part(values, row), weights: part(weights, row) },
  }
}

function kept(given: Record<string, unknown>, keep: Keep): Kept {
  const found: Kept = { values: {}, unknown: undefined, cut: undefined }
  const other = (name: string) => (Object.hasOwn(given, name) ? given[name] : undefined)
  for (const name in given) {
    const way = keep(name)
    if (way !== undefined) found.values[name] = way(given[name], found, other)
  }
  return found
}

/** A candidate's id is what the request names so, or the key that it is found by, as that is logged. */
function withFields(
  id: unknown,
  bid: unknown,
  { values, unknown, cut }: Kept,
  keyName: string | undefined,
): SentCandidate {
  const candidate: SentCandidate = { unknown, cut }
  const named = id ?? (keyName === undefined ? undefined : values[keyName])
  if (typeof named === 'string' || typeof named === 'number') candidate.id = named
  if (typeof bid === 'number') candidate.bid = bid
  candidate.fields = values
  return candidate
}

/** Values of tables in the form in which they are logged, and entities whose key their table does not have. */
export interface FetchedFields extends Unfamiliar {
  fetched: Record<string, unknown> | undefined
  unknown_keys: string[] | undefined
}

const familiar: Unfamiliar = { unknown: undefined, cut: undefined }

/** `notes`: by entity. */
export function fetchedFields(
  notes: Readonly<Record<string, FetchNote>> | null | undefined,
  keep: Keep,
): FetchedFields {
  const all = Object.entries(notes ?? {})
  const unknown = all.flatMap(([entity, { found }]) => (found ? [] : [entity]))
  if (!all.some(([, { found }]) => found))
    return { fetched: undefined, unknown_keys: unknown.length > 0 ? unknown : undefined, ...familiar }
  const fetched = kept(Object.assign({}, ...all.map(([, note]) => note.fetched)), keep)
  return {
    ...{ fetched: fetched.values, unknown_keys: unknown.length > 0 ? unknown : undefined },
    ...{ unknown: fetched.unknown, cut: fetched.cut },
  }
}

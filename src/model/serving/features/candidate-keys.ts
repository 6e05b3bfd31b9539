import { isObject, pointer } from '../../../schemas/json.ts'
import { KeyList } from '../../contracts/key-list.ts'
import type { CandidateId } from '../../contracts/prediction.ts'
import { readKey } from './context.ts'
import { keyText, type LayoutEntity } from './entities.ts'
import { FetchedRows, type FetchNotes, type KeyPlace, type LeftOut, widthsOf } from './fetched.ts'
import type { FieldColumn } from './field-column.ts'
import type { EncodedRequest, Layout } from './layout.ts'
import type { ListEncoder } from './lists.ts'
import type { Violations } from './problems.ts'

/** Those of a request in rows. */
export type Candidates = KeyList | readonly unknown[]

/** A candidate of which the request has the key alone. */
const alone: Record<string, unknown> = {}

/** Fields that hold for all candidates, and where problems go. */
export interface KeySurroundings {
  given: ReadonlySet<FieldColumn>
  lists: ListEncoder | undefined
  problems: Violations
  left: LeftOut | undefined
  notes: FetchNotes | undefined
}

/** The candidates of a request in rows, and what a table has for their keys. */
export class CandidateKeys {
  readonly entity: LayoutEntity
  readonly #around: KeySurroundings
  readonly #candidates: Candidates
  readonly #fetched: FetchedRows
  /** The field that the key is, if it is one. */
  readonly #field: FieldColumn | undefined
  /** Whether each candidate is a key, and a table has all that the model needs of it. */
  readonly plain: boolean

  /** Writes what the table has into the rows of `encoded`. */
  constructor(
    layout: Layout,
    entity: LayoutEntity,
    candidates: Candidates,
    encoded: EncodedRequest,
    around: KeySurroundings,
  ) {
    this.entity = entity
    this.#around = around
    this.#candidates = candidates
    this.#field = layout.byName.get(entity.key)
    const texts = textsIn(candidates)
    const keys = texts ?? (candidates as unknown[]).map((candidate, row) => this.#keyOf(candidate, row))
    this.#fetched = new FetchedRows(entity, keys)
    this.#fetched.fill(encoded, widthsOf(layout), around.given)
    if (texts) encoded.ids = texts
    const { lists, notes } = around
    this.plain = !!texts && lists === undefined && notes === undefined && !this.#field && this.#fetched.complete
  }

  #keyOf(candidate: unknown, row: number): string | undefined {
    if (!isObject(candidate)) return keyText(candidate)
    const { key } = this.entity
    if (!Object.hasOwn(candidate, key)) return undefined
    return readKey(candidate[key], `/candidates/${row}${pointer(key)}`, this.#around.problems)
  }

  /** A candidate of the request; of one that is a key alone, an object. */
  candidateOf(row: number): unknown {
    const candidate = this.#candidates.at(row)
    if (!isKey(candidate)) return candidate
    return this.#field ? { [this.entity.key]: candidate } : alone
  }

  /** All of them, as `candidateOf` has them. */
  get candidates(): unknown[] {
    return Array.from({ length: this.#candidates.length }, (_, row) => this.candidateOf(row))
  }

  /** Checks what the table has of a candidate; false where something is wrong, or where it is left out. */
  check(row: number, candidate: Record<string, unknown>, encoded: EncodedRequest): boolean {
    const { entity } = this
    const { given, lists, problems, left, notes } = this.#around
    const key = this.#candidates.at(row)
    const isAlone = isKey(key)
    if (isAlone) setId(encoded, row, key)
    const isSent = (slot: FieldColumn) => given.has(slot) || Object.hasOwn(candidate, slot.name)
    if (!isAlone && !Object.hasOwn(candidate, entity.key)) return requireAll(entity, row, isSent, problems)
    const place = { path: `/candidates/${row}${isAlone ? '' : pointer(entity.key)}`, isSent }
    this.#fetched.note(row, place, notes, row)
    return this.#fetched.check(row, place, lists, { problems, left })
  }
}

/** Echoes the id of a candidate in the answer. */
export function setId(encoded: EncodedRequest, row: number, id: CandidateId): void {
  if (encoded.ids instanceof KeyList) return
  encoded.ids ??= new Array(encoded.requested)
  ;(encoded.ids as (CandidateId | undefined)[])[row] = id
}

/** Fetches what a table has for a key of the context that a candidate gives; false where something is wrong. */
export function fetchOne(
  layout: Layout,
  entity: LayoutEntity,
  row: number,
  candidate: Record<string, unknown>,
  encoded: EncodedRequest,
  { given, lists, problems, notes }: KeySurroundings,
): boolean {
  const path = `/candidates/${row}${pointer(entity.key)}`
  const isSent = (slot: FieldColumn) => given.has(slot) || Object.hasOwn(candidate, slot.name)
  const place: KeyPlace = { path, isSent }
  const fetched = new FetchedRows(entity, [readKey(candidate[entity.key], path, problems)])
  const widths = widthsOf(layout)
  const own = {
    sparse: encoded.sparse.subarray(row * widths.sparse, (row + 1) * widths.sparse),
    dense: encoded.dense.subarray(row * widths.dense, (row + 1) * widths.dense),
  }
  fetched.fill(own, widths, { has: isSent })
  fetched.note(0, place, notes, row)
  return fetched.check(0, place, lists, { problems, left: undefined }, row)
}

/** A candidate without a key gives all that has no default. */
function requireAll(
  entity: LayoutEntity,
  row: number,
  isSent: (slot: FieldColumn) => boolean,
  problems: Violations,
): boolean {
  let good = true
  for (const slot of entity.slots) {
    if (typeof slot.encoder.missing !== 'string' || isSent(slot)) continue
    if (!problems.full) problems.add(`/candidates/${row}${pointer(slot.name)}`, slot.encoder.missing)
    good = false
  }
  return good
}

/** The candidates, where each is a string. */
function textsIn(candidates: Candidates): KeyList | readonly string[] | undefined {
  if (candidates instanceof KeyList) return candidates
  return candidates.every((candidate) => typeof candidate === 'string') ? (candidates as string[]) : undefined
}

function isKey(candidate: unknown): candidate is CandidateId {
  return typeof candidate === 'string' || Number.isSafeInteger(candidate)
}

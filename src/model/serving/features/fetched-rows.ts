import { isObject, pointer } from '../../../schemas/json.ts'
import type { CandidateId } from '../../contracts/prediction.ts'
import type { LayoutEntity } from './entities.ts'
import { requiredMessage } from './field.ts'
import type { FieldColumn } from './field-column.ts'
import type { EncodedRequest, Layout } from './layout.ts'
import type { ListEncoder } from './lists.ts'
import type { Violations } from './problems.ts'

/** A candidate of which the request has the key alone. */
const alone = {}

/** The rows of a table for the candidates of a request. */
export class FetchedRows {
  readonly entity: LayoutEntity
  readonly #layout: Layout
  readonly #keys: (string | undefined)[]
  /** Per candidate; −1: the table has none. */
  readonly #rows: Int32Array
  readonly #candidates: readonly unknown[]
  /** Whether the key is a feature, too. */
  readonly #isFeature: boolean

  constructor(layout: Layout, entity: LayoutEntity, candidates: readonly unknown[], problems: Violations) {
    this.entity = entity
    this.#layout = layout
    this.#candidates = candidates
    this.#isFeature = layout.byName.has(entity.key)
    this.#keys = candidates.map((candidate, row) => {
      if (isKey(candidate)) return String(candidate)
      if (!isObject(candidate) || !Object.hasOwn(candidate, entity.key)) return undefined
      return entity.keyOf(candidate[entity.key], `/candidates/${row}${pointer(entity.key)}`, problems)
    })
    this.#rows = entity.find(this.#keys)
  }

  /** A candidate of the request; of one that is a key alone, an object. */
  candidateOf(row: number): unknown {
    const candidate = this.#candidates[row]
    if (!isKey(candidate)) return candidate
    return this.#isFeature ? { [this.entity.key]: candidate } : alone
  }

  /** All of them, as `candidateOf` has them. */
  get candidates(): unknown[] {
    return this.#candidates.map((_, row) => this.candidateOf(row))
  }

  /** Writes what the table has of a candidate, behind what the request sends; false where something is wrong. */
  fill(
    row: number,
    candidate: Record<string, unknown>,
    encoded: EncodedRequest,
    { lists, given }: { lists: ListEncoder | undefined; given: ReadonlySet<FieldColumn> },
    problems: Violations,
  ): boolean {
    const { entity } = this
    const [key, from] = [this.#keys[row], this.#rows[row]!]
    const path = `/candidates/${row}`
    if (isKey(this.#candidates[row])) {
      encoded.ids ??= new Array(encoded.requested)
      encoded.ids[row] = this.#candidates[row]
    }
    // The problem of a wrong key was added with the others.
    if (key === undefined && Object.hasOwn(candidate, entity.key)) return false
    const isSent = (name: string) => Object.hasOwn(candidate, name) || given.has(this.#layout.byName.get(name)!)
    if (from >= 0) {
      const widths = { sparse: this.#layout.sparse.length, dense: this.#layout.dense.length }
      const absent = entity.fill(from, encoded, row, widths, lists && { encoder: lists, row }, isSent)
      for (const value of absent) if (!problems.full) problems.add(path, entity.absentValue(value, key!))
      return absent.length === 0
    }
    if (key !== undefined && entity.refuses) {
      if (!problems.full) problems.add(path, entity.unknownKey(key))
      return false
    }
    let good = true
    for (const slot of entity.slots) {
      if (typeof slot.encoder.missing !== 'string' || isSent(slot.name)) continue
      if (!problems.full) problems.add(path + pointer(slot.name), requiredMessage)
      good = false
    }
    return good
  }
}

function isKey(candidate: unknown): candidate is CandidateId {
  return typeof candidate === 'string' || Number.isSafeInteger(candidate)
}

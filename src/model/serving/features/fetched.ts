import type { Violation } from '../../../base/errors.ts'
import type { FetchNote } from '../../contracts/prediction.ts'
import type { AbsentValue, GivenKeys, LayoutEntity } from './entities.ts'
import type { FieldColumn, RowArrays } from './field-column.ts'
import type { ListEncoder } from './lists.ts'
import { maxViolations, type Violations } from './problems.ts'
import type { Widths } from './table-fields.ts'

/** By entity, for the context and for each row of a request. */
export class FetchNotes {
  readonly context: Record<string, FetchNote> = {}
  readonly candidates: (Record<string, FetchNote> | undefined)[] = []

  /** `row`: undefined for the context. */
  add(row: number | undefined, entity: string, note: FetchNote): void {
    if (row === undefined) this.context[entity] = note
    else this.candidates[row] = { ...this.candidates[row], [entity]: note }
  }
}

/** Where a request names a key, and the fields that it sends beside it. */
export interface KeyPlace {
  path: string
  isSent(slot: FieldColumn): boolean
}

/** The rows of a table for rows of a request. */
export class FetchedRows {
  readonly entity: LayoutEntity
  readonly #keys: GivenKeys
  /** Per key; −1: the table has none. */
  readonly #rows: Int32Array
  #absent: Map<number, AbsentValue[]> | undefined

  constructor(entity: LayoutEntity, keys: GivenKeys) {
    this.entity = entity
    this.#keys = keys
    this.#rows = entity.find(keys)
  }

  /** Whether the table has all of the keys, with a value in every field that has no default. */
  get complete(): boolean {
    return this.#absent === undefined && this.#rows.every((row) => row >= 0)
  }

  isFound(row: number): boolean {
    return this.#rows[row]! >= 0
  }

  /** Writes all single values into the rows of `target`, but for fields that are `given` for all rows. */
  fill(target: RowArrays, widths: Widths, given: { has(slot: FieldColumn): boolean }): void {
    this.entity.fill(this.#rows, target, widths, given, (row, value) => {
      this.#absent ??= new Map()
      const before = this.#absent.get(row)
      if (before === undefined) this.#absent.set(row, [value])
      else before.push(value)
    })
  }

  /** Values that can't be encoded, and fields without a value or a default, but for those that the request sends. */
  absent(row: number, { isSent }: KeyPlace): AbsentValue[] {
    return this.#absent?.get(row)?.filter(({ slot }) => !isSent(slot)) ?? []
  }

  /**
   * Takes the lists of a row for row `target`, and checks what the table has of it; false where something is wrong with
   * it, or where it is left out. A key that is undefined has a problem already.
   */
  check(
    row: number,
    place: KeyPlace,
    lists: ListEncoder | undefined,
    { problems, left }: { problems: Violations; left: LeftOut | undefined },
    target = row,
  ): boolean {
    const { entity } = this
    const [key, from] = [this.#keys.at(row), this.#rows[row]!]
    if (key === undefined) return false
    const wrong = (message: string) => {
      if (!problems.full) problems.add(place.path, message)
      return false
    }
    if (from < 0) {
      if (entity.unknown === 'leave_out' && left !== undefined) {
        left.add(place.path, `${entity.unknownKey(key)}: the candidate is left out`)
        return false
      }
      if (entity.unknown !== 'defaults') return wrong(entity.unknownKey(key))
      const needed = [...entity.slots].filter((slot) => typeof slot.encoder.missing === 'string' && !place.isSent(slot))
      if (needed.length === 0) return true
      const names = needed.map(({ name }) => name).join(', ')
      return wrong(`${entity.unknownKey(key)}, and ${names} ${needed.length === 1 ? 'has' : 'have'} no default`)
    }
    const absent = [...this.absent(row, place), ...this.takeLists(row, place, lists, target)]
    for (const value of absent) wrong(entity.absentValue(value, key))
    return absent.length === 0
  }

  /** Takes the lists of a row that the table has, for row `target`; undefined: the context. */
  takeLists(
    row: number,
    { isSent }: KeyPlace,
    lists: ListEncoder | undefined,
    target: number | undefined,
  ): AbsentValue[] {
    return lists === undefined ? [] : this.entity.takeLists(this.#rows[row]!, lists, target, isSent)
  }

  /** Notes what the table has of a row, for row `target` of the request; undefined: the context. */
  note(
    row: number,
    { isSent }: Pick<KeyPlace, 'isSent'>,
    notes: FetchNotes | undefined,
    target: number | undefined,
  ): void {
    const key = this.#keys.at(row)
    if (key === undefined || notes === undefined) return
    const from = this.#rows[row]!
    const note: FetchNote = { key, found: from >= 0, fetched: {}, defaults: {} }
    const slots = [...this.entity.slots]
    for (const [i, [name, value]] of this.entity.valuesOf(from).entries()) {
      if (isSent(slots[i]!)) continue
      if (value === null) note.defaults[name] = defaultOf(slots[i]!)
      else note.fetched[name] = value
    }
    notes.add(target, this.entity.name, note)
  }
}

/** Columns of a layout. */
export const widthsOf = ({ sparse, dense }: { sparse: ArrayLike<unknown>; dense: ArrayLike<unknown> }): Widths => ({
  sparse: sparse.length,
  dense: dense.length,
})

function defaultOf({ encoder: { field } }: FieldColumn): unknown {
  return field.missing === 'error' ? null : field.missing.default
}

/** Candidates that are left out because the table has no row of theirs. */
export class LeftOut {
  readonly list: Violation[] = []
  /** Whether any is. */
  any = false

  add(path: string, message: string): void {
    this.any = true
    if (this.list.length < maxViolations) this.list.push({ path, message })
  }
}

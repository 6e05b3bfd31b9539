import { isObject, pointer } from '../../../schemas/json.ts'
import { describeValue, missingMessage, requiredMessage } from './field.ts'
import type { ColumnGroup, FieldColumn, ListNotes, RowArrays } from './field-column.ts'
import { invalidRequest, type Violations } from './problems.ts'

/** Values of a list from `first` on, in an array that may hold those of other rows; their weights likewise. */
export interface ListValues {
  /** Whether they are the codes of a default: no client sent it, and nothing of it counts as unknown or cut. */
  isDefault?: boolean
  /** Whether they are codes of values: NaN for one that is left out. */
  areCodes?: boolean
  values: ArrayLike<unknown>
  first: number
  length: number
  weights: ArrayLike<unknown> | undefined
  /** Whether the array is that of a column, with the offsets of all rows. */
  ofColumn?: boolean
}

/** In place of values that have a problem. */
const unreadable: ListValues = { values: [], first: 0, length: -1, weights: undefined }

export interface ListOptions {
  /** Most values of all lists and vectors of a request; more is INVALID_REQUEST. Default: any number. */
  maxValues?: number | undefined
  /** Receives what is unknown, and what is cut. */
  notes?: ListNotes | undefined
}

/** The JSON pointer to a list in the request; `row` is undefined in the context, and for a column of all rows. */
export type ListPath = (slot: FieldColumn, row: number | undefined) => string

/** Reports a problem of a list; `place`: a JSON pointer below it. */
type WrongList = (place: string, message: string) => void

/**
 * Encodes the lists and vectors of one request, one row after the other. Its methods answer false for a row that has a
 * problem, which they report.
 */
export class ListEncoder {
  pathOf: ListPath
  readonly #problems: Violations
  readonly #notes: ListNotes | undefined
  readonly #widths: { sparse: number; dense: number }
  readonly #most: number
  #left: number
  readonly #codes: number[] = []
  /** Per group and member the values of the row that is being encoded; undefined where it has none. */
  readonly #given: (ListValues | undefined)[][]

  constructor(
    groups: readonly ColumnGroup[],
    widths: { sparse: number; dense: number },
    problems: Violations,
    pathOf: ListPath,
    { maxValues = Number.POSITIVE_INFINITY, notes }: ListOptions = {},
  ) {
    this.pathOf = pathOf
    this.#problems = problems
    this.#given = groups.map(({ members }) => members.map(() => undefined))
    this.#widths = widths
    this.#most = maxValues
    this.#left = maxValues
    this.#notes = notes
  }

  /** Takes a member's value as JSON has it. */
  take(slot: FieldColumn, value: unknown, row: number | undefined): boolean {
    const read = isValues(value) ? plainList(value) : this.#read(slot, value, row)
    this.takeValues(slot, read ?? unreadable, row)
    return read !== undefined
  }

  #read(slot: FieldColumn, value: unknown, row: number | undefined): ListValues | undefined {
    return readList(slot, value, (place, message) => this.#wrong(slot, row, place, message))
  }

  #wrong(slot: FieldColumn, row: number | undefined, place: string, message: string): void {
    if (!this.#problems.full) this.#problems.add(this.pathOf(slot, row) + place, message)
  }

  #wrongValue(
    slot: FieldColumn,
    { ofColumn, first, weights }: ListValues,
    what: 'values' | 'weights',
    i: number,
    row: number | undefined,
    message: string,
  ): void {
    if (ofColumn) this.#wrong(slot, undefined, `/${what}/${first + i}`, message)
    // A list in an object has its values there under a name.
    else this.#wrong(slot, row, what === 'values' && weights === undefined ? `/${i}` : `/${what}/${i}`, message)
  }

  /** Takes values that were read before. Throws INVALID_REQUEST where the request has too many. */
  takeValues(slot: FieldColumn, read: ListValues, row: number | undefined): void {
    this.#left -= Math.max(0, read.length)
    if (this.#left < 0) {
      const message = `has values beyond the ${this.#most} that the lists and vectors of a request may have in all`
      throw invalidRequest([{ path: this.pathOf(slot, row), message }])
    }
    const { members, index } = slot.group!
    this.#given[index]![members.indexOf(slot)] = read
  }

  /** A member of a group whose values were taken for this row, if there is one. */
  taken({ members, index }: ColumnGroup): FieldColumn | undefined {
    const given = this.#given[index]!
    return members.find((_, m) => given[m] !== undefined)
  }

  /** Forgets the values that were taken for this row. */
  leave({ index }: ColumnGroup): void {
    this.#given[index]!.fill(undefined)
  }

  /**
   * Encodes the values that were taken into row `row` of `target`, of the context into row 0; members that were not
   * given have their default. False, without a problem, also where a member without a default was not given.
   */
  encode(group: ColumnGroup, target: RowArrays, row: number | undefined): boolean {
    const { members } = group
    const given = this.#given[group.index]!
    const lists: ListValues[] = []
    for (let m = 0; m < members.length; m++) {
      const list = given[m] ?? defaultOf(members[m]!)
      given[m] = undefined
      if (list !== undefined) lists.push(list)
    }
    if (lists.length < members.length || lists.includes(unreadable)) return false
    const { length } = lists[0]!
    if (group.exact && length !== group.max) {
      this.#wrong(members[0]!, row, '', `has ${length} numbers, not ${group.max}`)
      return false
    }
    for (let m = 1; m < lists.length; m++) {
      if (lists[m]!.length === length) continue
      const absent = [m, 0].find((member) => lists[member]!.isDefault)
      const wrong = absent ?? m
      const other = wrong === m ? 0 : m
      const has = `${JSON.stringify(members[other]!.name)}, of the same sequence, has ${lists[other]!.length}`
      if (absent === undefined) this.#wrong(members[m]!, row, '', `has ${lists[m]!.length} values where ${has}`)
      else this.#wrong(members[absent]!, row, '', `is not given here, where ${has} values: give both in one place`)
      return false
    }
    const kept = this.#encodeValues(group, lists, target, row)
    if (kept < 0) return false
    if (kept > group.max) this.#cut(group, lists, kept, target, row)
    else if (kept < group.max) this.#pad(group, kept, target, row ?? 0)
    return true
  }

  /** Encodes the values, of which the last may have taken the columns of the first; −1 where one is wrong. */
  #encodeValues(
    { members, max, keepsLast, unknownTests }: ColumnGroup,
    lists: readonly ListValues[],
    { sparse, dense }: RowArrays,
    row: number | undefined,
  ): number {
    const codes = this.#codes
    const sparseStart = (row ?? 0) * this.#widths.sparse
    const denseStart = (row ?? 0) * this.#widths.dense
    const { length } = lists[0]!
    let good = true
    let kept = 0
    for (let i = 0; i < length; i++) {
      let keeps = true
      for (let m = 0; m < members.length; m++) {
        const { values, first, isDefault, areCodes } = lists[m]!
        const value = values[first + i]
        const code = isDefault || areCodes ? codeIn(value as DefaultCode) : members[m]!.encoder.item(value)
        if (typeof code === 'number') codes[m] = code
        else if (code === undefined) keeps = false
        else {
          this.#wrongValue(members[m]!, lists[m]!, 'values', i, row, code)
          good = false
        }
        if (this.#notes === undefined || isDefault || typeof code === 'string') continue
        if (code === undefined || unknownTests[m]?.(code)) this.#notes.unknown(row, members[m]!.name, i)
      }
      const place = kept < max ? kept : keepsLast ? kept % max : -1
      for (let m = 0; m < members.length; m++) {
        const { sparse: isSparse, column, weights, group: _ } = members[m]!
        const { weights: given, first } = lists[m]!
        if (keeps && place >= 0) {
          if (isSparse) sparse[sparseStart + column + place] = codes[m]!
          else dense[denseStart + column + place] = codes[m]!
        }
        if (weights === undefined) continue
        const weight = given === undefined ? 1 : weightOf(given[first + i])
        if (typeof weight === 'string') {
          this.#wrongValue(members[m]!, lists[m]!, 'weights', i, row, weight)
          good = false
        } else if (keeps && place >= 0) dense[denseStart + weights + place] = weight
      }
      if (keeps) kept++
    }
    return good ? kept : -1
  }

  #cut(
    { members, max, keepsLast, onCut }: ColumnGroup,
    lists: readonly ListValues[],
    kept: number,
    { sparse, dense }: RowArrays,
    row: number | undefined,
  ): void {
    for (const [m, { name, sparse: isSparse, column, weights }] of members.entries()) {
      if (!lists[m]!.isDefault) {
        onCut?.(name, kept - max)
        this.#notes?.cut(row, name)
      }
      const turned = keepsLast ? kept % max : 0
      if (turned === 0) continue
      const [values, width] = isSparse ? [sparse, this.#widths.sparse] : [dense, this.#widths.dense]
      rotate(values, (row ?? 0) * width + column, max, turned)
      if (weights !== undefined) rotate(dense, (row ?? 0) * this.#widths.dense + weights, max, turned)
    }
  }

  #pad({ members, max }: ColumnGroup, kept: number, { sparse, dense }: RowArrays, row: number): void {
    for (const { sparse: isSparse, column, weights, padding } of members) {
      const [values, width] = isSparse ? [sparse, this.#widths.sparse] : [dense, this.#widths.dense]
      const start = row * width + column
      values.fill(padding, start + kept, start + max)
      if (weights === undefined) continue
      const first = row * this.#widths.dense + weights
      dense.fill(0, first + kept, first + max)
    }
  }
}

function rotate(values: Int32Array | Float32Array, first: number, length: number, by: number): void {
  const start = values.slice(first, first + by)
  values.copyWithin(first, first + by, first + length)
  values.set(start as never, first + length - by)
}

function weightOf(value: unknown): number | string {
  if (typeof value !== 'number') return `must be a number, not ${describeValue(value)}`
  if (!(Number.isFinite(value) && value >= 0)) return 'must be a finite number of at least 0'
  return Number.isFinite(Math.fround(value)) ? value : 'is too large for float32'
}

/** NaN stands for a value that is left out. */
const codeIn = (value: DefaultCode): DefaultCode => (Number.isNaN(value) ? undefined : value)

type DefaultCode = ReturnType<FieldColumn['encoder']['item']>

/** The default of a list or vector. */
function defaultOf({ encoder: { field, defaults = [] } }: FieldColumn): ListValues | undefined {
  return field.missing === 'error' ? undefined : { ...plainList(defaults), isDefault: true }
}

export function plainList(values: ArrayLike<unknown>): ListValues {
  return { values, first: 0, length: values.length, weights: undefined }
}

/** The values of a list that is no array: of a weighted one, or the default of a missing one. */
function readList(slot: FieldColumn, value: unknown, wrong: WrongList): ListValues | undefined {
  const { encoder, weights: weighted } = slot
  if (value === undefined || value === null) {
    if (encoder.missing !== requiredMessage) return defaultOf(slot)
    wrong('', missingMessage(value))
    return undefined
  }
  if (weighted === undefined || !isObject(value)) {
    wrong('', `must be an array, not ${describeValue(value)}`)
    return undefined
  }
  const { values, weights, ...others } = value
  const [other] = Object.keys(others)
  if (other !== undefined) wrong(pointer(other), 'is not known: a weighted list has values and weights')
  else if (!isValues(values)) wrong('/values', `must be an array, not ${describeValue(values)}`)
  else if (!isValues(weights)) wrong('/weights', `must be an array, not ${describeValue(weights)}`)
  else if (weights.length !== values.length)
    wrong('/weights', `has ${weights.length} weights for ${values.length} values`)
  else return { ...plainList(values), weights }
  return undefined
}

/** An array of JSON, or numbers of a binary tensor. */
export function isValues(value: unknown): value is ArrayLike<unknown> {
  if (Array.isArray(value)) return true
  return value instanceof Float32Array || value instanceof Float64Array || value instanceof Int32Array
}

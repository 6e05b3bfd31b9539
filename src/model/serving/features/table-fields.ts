import { type ColumnReader, isEmpty, type ListReader } from '../tables/column-readers.ts'
import type { RowsByKey } from '../tables/feature-table.ts'
import { type FieldColumn, type RowArrays, unknownTest } from './field-column.ts'
import { type ListEncoder, plainList } from './lists.ts'
import type { InputField } from './table.ts'

type OnUnknown = ((field: string) => unknown) | undefined

/** A field, and the column of a table that it is read from. */
export interface TableField {
  slot: FieldColumn
  column: ColumnReader
  /**
   * Writes the values of table rows, −1 for none, into the rows of `target`. `absent` receives the rows that have no
   * value, and those whose value can't be encoded, with the reason: they keep what is there.
   */
  fill(rows: Int32Array, target: RowArrays, widths: Widths, absent: Absent): void
  /** Takes the list of table row `from` for row `row`, undefined for the context; false where it has none. */
  take(from: number, lists: ListEncoder, row: number | undefined): boolean
}

/** Columns of a layout. */
export interface Widths {
  sparse: number
  dense: number
}

type Absent = (row: number, wrong: string | undefined) => void

/** A column that a field can be read from. */
export interface WantedColumn {
  name: string
  kind: 'string' | 'number'
  isList: boolean
}

export function wantedOf(field: InputField): WantedColumn {
  const isNumber = field.kind === 'numeric' || field.kind === 'vector' || field.kind === 'integer'
  const isList = field.kind === 'vector' || field.list !== undefined
  return { name: field.name, kind: isNumber ? 'number' : 'string', isList }
}

/** Why a field can't be read from a column. */
export function unfit(
  { name, kind: wants, isList }: WantedColumn,
  column: ColumnReader | undefined,
): string | undefined {
  if (column === undefined) return `has no column ${JSON.stringify(name)}`
  if (isEmpty(column)) return undefined
  const at = `has a column ${JSON.stringify(name)} of`
  if (isList && column.kind !== 'list')
    return `${at} single values, and the field is a list: import it with --list "${name}=${separatorOf(column)}"`
  if (column.kind === 'list' && !isList) return `${at} lists`
  if (column.kind === 'list')
    return column.longest === 0 || column.items.kind === wants
      ? undefined
      : `${at} lists of ${column.items.kind}s, and the field is one of ${wants}s`
  if (column.kind === wants) return undefined
  if (column.kind === 'string') return `${at} strings, and the field is one of numbers`
  return column.exactText
    ? undefined
    : `${at} numbers that are not written as they were imported: import it with --text ${name}`
}

/** The separator that at least half of the first strings hold, where they are lists that were not divided. */
function separatorOf(column: ColumnReader): string {
  const count = column.kind === 'string' ? Math.min(column.strings, 1000) : 0
  const texts = Array.from({ length: count }, (_, i) => (column as StringReader).text(i + 1))
  const usual = ['|', ';', ',', ' '].find((mark) => 2 * texts.filter((text) => text.includes(mark)).length >= count)
  return usual ?? '|'
}

type StringReader = Extract<ColumnReader, { kind: 'string' }>

/** Nothing where the column does not fit: the field keeps its default. */
export function bindField(slot: FieldColumn, table: RowsByKey, onUnknown: OnUnknown): TableField[] {
  const column = table.columns.get(slot.name)
  if (column === undefined || unfit(wantedOf(slot.encoder.field), column) !== undefined) return []
  const isList = slot.group !== undefined && column.kind === 'list'
  return [
    {
      ...{ slot, column },
      fill: isList ? () => undefined : fillOf(slot, column, onUnknown),
      take: isList ? takeOf(slot, column, onUnknown) : () => false,
    },
  ]
}

/** In place of a code that is not known yet, or of a text that can't be encoded. */
const [notYet, wrong] = [-1, -2]

/** Most numbers whose text was encoded that are kept. */
const mostNumbers = 2 ** 16

function fillOf(slot: FieldColumn, column: ColumnReader, onUnknown: OnUnknown): TableField['fill'] {
  const { name, encoder, sparse: isSparse, column: place } = slot
  if (column.kind === 'list' || isEmpty(column)) return fillWith(slot, () => undefined)
  if (column.kind === 'number') {
    const { kind } = encoder.field
    return fillWith(slot, kind === 'numeric' || kind === 'integer' ? numbers : textsOf(slot, onUnknown))
  }
  // Each text is encoded once; the encoder counts it then.
  const isUnknown = unknownTest(encoder)
  const ids = new Int32Array(column.strings + 1).fill(notYet)
  return (rows, target, widths, absent) => {
    const values = isSparse ? target.sparse : target.dense
    const width = isSparse ? widths.sparse : widths.dense
    for (let row = 0; row < rows.length; row++) {
      const from = rows[row]!
      if (from < 0) continue
      const code = column.code(from)
      let id = code === 0 ? wrong : ids[code]!
      if (id === notYet) {
        const encoded = encoder.encode(column.text(code))
        id = typeof encoded === 'number' ? encoded : wrong
        ids[code] = id
      } else if (id >= 0 && isUnknown?.(id)) onUnknown?.(name)
      if (id >= 0) values[row * width + place] = id
      else absent(row, code === 0 ? undefined : (encoder.encode(column.text(code)) as string))
    }
  }

  function numbers(from: number): number | string | undefined {
    const number = (column as Extract<ColumnReader, { kind: 'number' }>).number(from)
    return Number.isNaN(number) ? undefined : encoder.encode(number)
  }

  /** Encodes numbers as their text; the ids of the first ones are kept. */
  function textsOf({ encoder }: FieldColumn, onUnknown: OnUnknown) {
    const isUnknown = unknownTest(encoder)
    const known = new Map<number, number>()
    return (from: number): number | string | undefined => {
      const number = (column as Extract<ColumnReader, { kind: 'number' }>).number(from)
      if (Number.isNaN(number)) return undefined
      const id = known.get(number)
      if (id !== undefined) {
        if (isUnknown?.(id)) onUnknown?.(name)
        return id
      }
      const encoded = encoder.encode(String(number))
      if (typeof encoded === 'number' && known.size < mostNumbers) known.set(number, encoded)
      return encoded
    }
  }
}

function fillWith(
  { sparse: isSparse, column: place }: FieldColumn,
  encode: (from: number) => number | string | undefined,
): TableField['fill'] {
  return (rows, target, widths, absent) => {
    const values = isSparse ? target.sparse : target.dense
    const width = isSparse ? widths.sparse : widths.dense
    for (let row = 0; row < rows.length; row++) {
      const from = rows[row]!
      if (from < 0) continue
      const code = encode(from)
      if (typeof code === 'number') values[row * width + place] = code
      else absent(row, code)
    }
  }
}

/** Reads lists into arrays that are used again: values of numbers, codes of strings. */
function takeOf(slot: FieldColumn, column: ListReader, onUnknown: OnUnknown): TableField['take'] {
  const { items } = column
  let values = new Float64Array(16)
  const room = (count: number) => {
    if (values.length < count) values = new Float64Array(2 * count)
    return values
  }
  if (items.kind === 'number')
    return (from, lists, row) => {
      const [count, first] = [column.count(from), column.first(from)]
      if (count < 0) return false
      const numbers = room(count)
      for (let i = 0; i < count; i++) numbers[i] = items.number(first + i)
      lists.takeValues(slot, { values: numbers, first: 0, length: count, weights: undefined }, row)
      return true
    }
  const codeOf = itemCodes(slot, items, onUnknown)
  return (from, lists, row) => {
    const [count, first] = [column.count(from), column.first(from)]
    if (count < 0) return false
    const codes = room(count)
    for (let i = 0; i < count; i++) {
      const code = codeOf(items.code(first + i))
      if (code === undefined) {
        const texts = Array.from({ length: count }, (_, i) => items.text(items.code(first + i)))
        lists.takeValues(slot, plainList(texts), row)
        return true
      }
      codes[i] = code
    }
    lists.takeValues(slot, { values: codes, first: 0, length: count, weights: undefined, areCodes: true }, row)
    return true
  }
}

/** In place of a text that was not encoded yet, or can't be. */
const [unasked, refused] = [-1, -2]

/** The code of a string by its number: NaN where the value is left out, undefined where it is wrong. */
function itemCodes(
  { name, encoder }: FieldColumn,
  { strings, text }: Extract<ListReader['items'], { kind: 'string' }>,
  onUnknown: OnUnknown,
): (code: number) => number | undefined {
  const isUnknown = unknownTest(encoder)
  const known = new Float64Array(strings + 1).fill(unasked)
  return (code) => {
    const id = known[code]!
    if (id === unasked) {
      const encoded = encoder.item(text(code))
      known[code] = encoded === undefined ? Number.NaN : typeof encoded === 'number' ? encoded : refused
      return typeof encoded === 'string' ? undefined : known[code]
    }
    if (id === refused) return undefined
    if (Number.isNaN(id) || isUnknown?.(id)) onUnknown?.(name)
    return id
  }
}

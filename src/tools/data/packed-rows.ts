import type { ColumnGroup, FieldColumn } from '../../model/serving/features/field-column.ts'
import type { Layout } from '../../model/serving/features/layout.ts'

/** Encoded rows, row-major: the network's inputs. */
export interface EncodedRows {
  rows: number
  /** int32 [rows, sparse fields], ids in the shared id space; in memory that threads can share. */
  sparse: Int32Array
  /** float32 [rows, dense fields]; likewise. */
  dense: Float32Array
  sparseFields: number
  denseFields: number
  /** Rows with lists are not packed. */
  lists?: undefined
}

/**
 * Encoded rows in memory that threads can share, in which lists take no room for padding. Without lists they are
 * `EncodedRows`.
 */
export interface PackedRows extends Omit<EncodedRows, 'lists'> {
  /** Undefined: `sparse` and `dense` have all columns; else those of `plain`, as many in each row. */
  lists?: PackedLists | undefined
}

interface PackedLists {
  /** The columns of unpacked rows that are in no list. */
  plain: { sparse: Int32Array; dense: Int32Array }
  groups: PackedGroup[]
}

/** The lists of a sequence, or one list: of equal lengths in each row. */
interface PackedGroup {
  /** Columns of each member. */
  max: number
  /** Per row, the end of its values. */
  ends: Uint32Array
  members: PackedMember[]
}

/** A list, or the weights of one. */
interface PackedMember {
  sparse: boolean
  /** The first of its columns in unpacked rows. */
  column: number
  padding: number
  values: Int32Array | Float32Array
}

/** Groups whose lengths show in the ids of one of them. Vectors and lists of numbers alone keep all their columns. */
export function packedGroups({ groups }: Pick<Layout, 'groups'>): ColumnGroup[] {
  return groups.filter(({ members }) => members.some(({ sparse }) => sparse))
}

const sharedIds = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length))
const sharedNumbers = (length: number) => new Float32Array(new SharedArrayBuffer(4 * length))

/** Packs encoded rows, some after others. */
export class RowPacker {
  readonly packed: PackedRows
  readonly #groups: readonly ColumnGroup[]
  #rows = 0

  /** `mostValues`: per packed group, the most values that the rows have in one of its members. */
  constructor(layout: Layout, rows: number, mostValues: readonly number[]) {
    this.#groups = packedGroups(layout)
    const groups = this.#groups.map(({ members, max, index }, i): PackedGroup => {
      const most = mostValues[i]!
      const made = layout.crossed.filter(({ list }) => list?.group === index)
      return {
        max,
        ends: new Uint32Array(new SharedArrayBuffer(4 * rows)),
        members: [
          ...members.flatMap((member) => packedMembers(member, most)),
          // As many values as the list that they are made of.
          ...made.map(({ column, offset }) => ({ sparse: true, column, padding: offset, values: sharedIds(most) })),
        ],
      }
    })
    const plain = {
      sparse: columnsOutside(layout.sparse.length, groups, true),
      dense: columnsOutside(layout.dense.length, groups, false),
    }
    this.packed = {
      rows,
      sparse: sharedIds(rows * plain.sparse.length),
      dense: sharedNumbers(rows * plain.dense.length),
      sparseFields: layout.sparse.length,
      denseFields: layout.dense.length,
      lists: { plain, groups },
    }
  }

  /** Appends the first `count` rows of a strip. */
  add({ sparse, dense, sparseFields, denseFields }: EncodedRows, count: number): void {
    const { packed } = this
    const { plain, groups } = packed.lists!
    for (let i = 0; i < count; i++) {
      const row = this.#rows++
      const [ids, numbers] = [i * sparseFields, i * denseFields]
      for (let c = 0; c < plain.sparse.length; c++)
        packed.sparse[row * plain.sparse.length + c] = sparse[ids + plain.sparse[c]!]!
      for (let c = 0; c < plain.dense.length; c++)
        packed.dense[row * plain.dense.length + c] = dense[numbers + plain.dense[c]!]!
      groups.forEach(({ ends, members, max }, g) => {
        const start = row === 0 ? 0 : ends[row - 1]!
        const length = lengthOf(this.#groups[g]!, sparse, ids, max)
        ends[row] = start + length
        for (const { sparse: isSparse, column, values } of members) {
          const [from, at] = isSparse ? [sparse, ids] : [dense, numbers]
          for (let v = 0; v < length; v++) values[start + v] = from[at + column + v]!
        }
      })
    }
  }
}

function packedMembers({ sparse, column, padding, weights }: FieldColumn, most: number): PackedMember[] {
  const values = sparse ? sharedIds(most) : sharedNumbers(most)
  const own = { sparse, column, padding, values }
  return weights === undefined
    ? [own]
    : [own, { sparse: false, column: weights, padding: 0, values: sharedNumbers(most) }]
}

/** The number of values of a row's lists. */
function lengthOf({ members }: ColumnGroup, sparse: Int32Array, start: number, max: number): number {
  const { column, padding } = members.find((member) => member.sparse)!
  let length = 0
  while (length < max && sparse[start + column + length] !== padding) length++
  return length
}

function columnsOutside(width: number, groups: readonly PackedGroup[], sparse: boolean): Int32Array {
  const inside = new Set<number>()
  for (const { members, max } of groups)
    for (const member of members)
      if (member.sparse === sparse) for (let i = 0; i < max; i++) inside.add(member.column + i)
  return Int32Array.from({ length: width }, (_, column) => column).filter((column) => !inside.has(column))
}

/** Unpacks a row into row `to` of `target`. */
export function unpackRow(
  packed: PackedRows,
  row: number,
  { sparse, dense }: Pick<EncodedRows, 'sparse' | 'dense'>,
  to: number,
): void {
  const { sparseFields, denseFields, lists } = packed
  const [ids, numbers] = [to * sparseFields, to * denseFields]
  if (lists === undefined) {
    for (let f = 0; f < sparseFields; f++) sparse[ids + f] = packed.sparse[row * sparseFields + f]!
    for (let f = 0; f < denseFields; f++) dense[numbers + f] = packed.dense[row * denseFields + f]!
    return
  }
  const { plain, groups } = lists
  const [plainIds, plainNumbers] = [plain.sparse, plain.dense]
  for (let c = 0; c < plainIds.length; c++) sparse[ids + plainIds[c]!] = packed.sparse[row * plainIds.length + c]!
  for (let c = 0; c < plainNumbers.length; c++)
    dense[numbers + plainNumbers[c]!] = packed.dense[row * plainNumbers.length + c]!
  for (const { ends, members, max } of groups) {
    const start = row === 0 ? 0 : ends[row - 1]!
    const length = ends[row]! - start
    for (const { sparse: isSparse, column, padding, values } of members) {
      const [target, at] = isSparse ? [sparse, ids + column] : [dense, numbers + column]
      for (let v = 0; v < length; v++) target[at + v] = values[start + v]!
      for (let v = length; v < max; v++) target[at + v] = padding
    }
  }
}

/** Rows of a call, unpacked one strip after the other. */
const stripRows = 2048

/** The rows, unpacked, some at a time, each time into the same arrays. */
export function* unpackStrips(packed: PackedRows): Generator<EncodedRows> {
  const strip = emptyRows(packed, Math.min(stripRows, packed.rows))
  for (let from = 0; from < packed.rows; from += stripRows) {
    const rows = Math.min(stripRows, packed.rows - from)
    for (let i = 0; i < rows; i++) unpackRow(packed, from + i, strip, i)
    yield { ...strip, rows }
  }
}

/** Rows `from` to `end`, unpacked, in new arrays that no other thread shares. */
export function unpackRange(packed: PackedRows, from: number, end: number): EncodedRows {
  const unpacked = emptyRows(packed, end - from)
  for (let row = from; row < end; row++) unpackRow(packed, row, unpacked, row - from)
  return unpacked
}

/** These rows, unpacked, in new arrays. */
export function unpackRows(packed: PackedRows, rows: readonly number[]): EncodedRows {
  const unpacked = emptyRows(packed, rows.length)
  for (const [i, row] of rows.entries()) unpackRow(packed, row, unpacked, i)
  return unpacked
}

function emptyRows({ sparseFields, denseFields }: PackedRows, rows: number): EncodedRows {
  const [sparse, dense] = [new Int32Array(rows * sparseFields), new Float32Array(rows * denseFields)]
  return { rows, sparse, dense, sparseFields, denseFields }
}

/** A function of rows: the number in a column that is in no list. */
export function numbersOf({ dense, denseFields, lists }: PackedRows, column: number): (row: number) => number {
  const width = lists?.plain.dense.length ?? denseFields
  const place = lists?.plain.dense.indexOf(column) ?? column
  return (row) => dense[row * width + place]!
}

/** The arrays that hold the rows. */
export function arraysOf({ sparse, dense, lists }: PackedRows): (Int32Array | Uint32Array | Float32Array)[] {
  const own = lists?.groups.flatMap(({ ends, members }) => [ends, ...members.map(({ values }) => values)]) ?? []
  return [sparse, dense, ...own]
}

import { blockRows, KeptRows } from '../../base/column-blocks.ts'
import { fillCrossed } from '../../model/serving/features/crossed.ts'
import type { FieldEncoder } from '../../model/serving/features/field.ts'
import { createLayout, type Layout, type LayoutOptions } from '../../model/serving/features/layout.ts'
import type { Field } from '../../schemas/features.ts'
import { type CellColumn, StringColumn } from './columns.ts'
import type { Dataset } from './dataset.ts'
import { createListsEncoder } from './encode-lists.ts'
import { ListColumn } from './list-column.ts'
import { type EncodedRows, type PackedRows, packedGroups, RowPacker } from './packed-rows.ts'
import { RowProblems } from './source.ts'
import type { Parts } from './split.ts'

/** Rows that are encoded field by field; the encoded form of this many stays in a core's cache. */
const stripRows = 2048

export interface EncodeOptions extends Omit<LayoutOptions, 'onUnknown'> {
  problems?: RowProblems
}

/**
 * Encodes `rows` of `cells` ([field][row]) with the manifest's fields. Cells that a request could not contain either
 * are added to `problems`; `place` gives the place of a row.
 */
export function encodeRows(
  fields: readonly Field[],
  cells: readonly CellColumn[],
  rows: Int32Array,
  place: (row: number) => string,
  { problems = new RowProblems(), ...options }: EncodeOptions = {},
): { encoded: EncodedRows; problems: RowProblems } {
  const layout = createLayout(fields, options)
  const encoded = allocateRows(layout, rows.length)
  createRowsEncoder(layout, cells, place, problems)(rows, 0, rows.length, encoded)
  return { encoded, problems }
}

/**
 * Encodes rows like `encodeRows`, some at a time, each time into the same arrays: lists take all of their columns in
 * them, so that those of all rows may not fit into memory.
 */
export function* encodeStrips(
  layout: Layout,
  cells: readonly CellColumn[],
  rows: Int32Array,
  place: (row: number) => string,
  problems = new RowProblems(),
): Generator<EncodedRows> {
  const strip = allocateRows(layout, Math.min(stripRows, rows.length))
  const encode = createRowsEncoder(layout, cells, place, problems)
  for (let from = 0; from < rows.length; from += stripRows) {
    const some = rows.subarray(from, from + stripRows)
    encode(some, 0, some.length, strip)
    yield { ...strip, rows: some.length }
  }
}

/** Zeros for `rows` encoded rows. */
function allocateRows(layout: Layout, rows: number): EncodedRows {
  const [sparseFields, denseFields] = [layout.sparse.length, layout.dense.length]
  const shared = (values: number) => new SharedArrayBuffer(4 * values)
  return {
    rows,
    sparse: new Int32Array(shared(rows * sparseFields)),
    dense: new Float32Array(shared(rows * denseFields)),
    sparseFields,
    denseFields,
  }
}

/** Encodes `rows[from]` to `rows[end − 1]` into the same rows of `target`. */
type RowsEncoder = (rows: Int32Array, from: number, end: number, target: EncodedRows) => void

/** Creates a function that encodes some rows after others, each string once. */
function createRowsEncoder(
  layout: Layout,
  cells: readonly CellColumn[],
  place: (row: number) => string,
  problems: RowProblems,
): RowsEncoder {
  const { slots, crossed, groups } = layout
  const encoders = slots.flatMap((slot, index) =>
    slot.group === undefined ? [{ ...slot, index, encode: encoderOf(cells[index]!, slot.encoder) }] : [],
  )
  const encodeLists =
    groups.length > 0 &&
    createListsEncoder(layout, cells, (field, row, message) =>
      problems.add(`/fields/${field}`, `${place(row)}: ${message}`),
    )
  const encodeStrip: RowsEncoder = (rows, from, end, target) => {
    const { sparse, dense, sparseFields, denseFields } = target
    encoders.forEach(({ name, column, sparse: isSparse, encode, index }) => {
      const [values, width] = isSparse ? [sparse, sparseFields] : [dense, denseFields]
      for (let i = from; i < end && !problems.full; i++) {
        const value = encode(rows[i]!)
        if (typeof value === 'number') values[i * width + column] = value
        else problems.add(`/fields/${index}`, `${place(rows[i]!)}: ${name} ${value}`)
      }
    })
    if (encodeLists && !problems.full) encodeLists(rows, from, end, target)
    fillCrossed(crossed, sparse, sparseFields, from, end)
  }
  return (rows, from, end, target) => {
    for (let strip = from; strip < end; strip += stripRows)
      encodeStrip(rows, strip, Math.min(end, strip + stripRows), target)
  }
}

/** Encodes the cell of a row; each string once. A missing cell is absent, not null. */
function encoderOf(column: CellColumn, { encode }: FieldEncoder): (row: number) => number | string {
  if (!(column instanceof StringColumn)) return (row) => encode(column.at(row) ?? undefined)
  const known = new Array<number | string | undefined>(column.values.length + 1).fill(undefined)
  return (row) => {
    const place = column.codeAt(row) + 1
    let value = known[place]
    if (value === undefined) {
      value = encode(column.at(row) ?? undefined)
      known[place] = value
    }
    return value
  }
}

/**
 * Encodes the parts of a data set, and lets go of the cells of all rows but `kept`, block by block, so that cells and
 * encoded rows are not in memory together; without `kept` all cells stay. Cells that do not fit are added to
 * `options.problems`.
 */
export function encodeParts(
  fields: readonly Field[],
  { cells, parts, place, rows }: Pick<Dataset, 'cells' | 'parts' | 'place' | 'rows'>,
  kept: readonly Int32Array[] | undefined,
  { problems, ...options }: EncodeOptions & { problems: RowProblems },
): Record<keyof Parts, PackedRows> {
  const marks = new Uint8Array(rows)
  for (const part of kept ?? []) for (const row of part) marks[row] = 1
  const keptRows = new KeptRows(marks)
  const layout = createLayout(fields, options)
  const encode = createRowsEncoder(layout, cells, place, problems)
  const packs = packedGroups(layout).length > 0
  const targets = [parts.train, parts.validation, parts.test].map((part) => ({
    part,
    next: 0,
    ...(packs ? packedTarget(layout, cells, part, encode) : plainTarget(layout, part, encode)),
  }))
  for (let block = 0; block * blockRows < rows; block++) {
    for (const target of targets) {
      const from = target.next
      const { part, take } = target
      while (target.next < part.length && part[target.next]! < (block + 1) * blockRows) target.next++
      take(from, target.next)
    }
    if (kept) for (const column of cells) column.keep(keptRows, block)
  }
  const [train, validation, test] = targets.map(({ encoded }) => encoded)
  return { train: train!, validation: validation!, test: test! }
}

/** Where a part's rows are encoded; `take` encodes those from `from` to `end`, after those before. */
interface PartTarget {
  encoded: PackedRows
  take(from: number, end: number): void
}

function plainTarget(layout: Layout, part: Int32Array, encode: RowsEncoder): PartTarget {
  const encoded = allocateRows(layout, part.length)
  return { encoded, take: (from, end) => encode(part, from, end, encoded) }
}

/** Encodes strip by strip, with padding, and packs each. */
function packedTarget(layout: Layout, cells: readonly CellColumn[], part: Int32Array, encode: RowsEncoder): PartTarget {
  const packer = new RowPacker(layout, part.length, mostValues(layout, cells, part))
  const strip = allocateRows(layout, Math.min(stripRows, part.length))
  return {
    encoded: packer.packed,
    take(from, end) {
      for (let start = from; start < end; start += stripRows) {
        const some = part.subarray(start, Math.min(end, start + stripRows))
        encode(some, 0, some.length, strip)
        packer.add(strip, some.length)
      }
    },
  }
}

/** Per packed group, the values that the rows have at most. */
function mostValues(layout: Layout, cells: readonly CellColumn[], rows: Int32Array): number[] {
  return packedGroups(layout).map(({ members: [member], max }) => {
    const column = cells[layout.slots.indexOf(member!)]!
    const missing = Math.min(max, member!.encoder.defaults?.length ?? 0)
    let values = 0
    for (const row of rows) {
      const length = column instanceof ListColumn ? column.lengthOf(row) : max
      values += length < 0 ? missing : Math.min(max, length)
    }
    return values
  })
}

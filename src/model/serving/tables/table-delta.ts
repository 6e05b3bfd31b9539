import { TableDeltaHeader, type TableDescription } from '../../../schemas/feature-table.ts'
import { baseOf, decodeContainer, encodeContainer } from '../delta-files/container.ts'
import type { Bytes } from './bytes.ts'
import { misfit } from './column-readers.ts'
import type { FeatureTable, TableFiles } from './feature-table.ts'
import { type Changes, type Layer, layerOf } from './layers.ts'

/*
 * A delta of a feature table: rows of some of its columns, in the form of a table, and which keys are removed.
 */

/** Each file begins at a multiple of this. */
const alignment = 8

export interface TableDelta {
  header: Pick<TableDeltaHeader, 'table' | 'version' | 'base' | 'sequence' | 'created_at'>
  layer: Layer
}

/** The digest by which deltas name a version of a table. */
export function baseOfTable({ files }: Pick<TableDescription, 'files'>): string {
  return baseOf(Object.fromEntries(Object.entries(files).map(([name, { sha256 }]) => [name, sha256])))
}

export function encodeTableDelta(
  about: TableDelta['header'],
  { described, files, removed }: Pick<Changes, 'described' | 'files' | 'removed'>,
): Buffer {
  const { rows, index, strings, lists } = files
  const header: TableDeltaHeader = {
    ...about,
    ...described,
    bytes: { rows: rows.length, index: index.length, strings: strings.length, lists: lists.length },
  }
  const parts = [rows, index, strings, lists, removed]
  return encodeContainer(header, parts.flatMap(padded), alignment)
}

/** Reads a delta. Throws an Error that says what is wrong, and where. */
export function decodeTableDelta(bytes: Buffer): TableDelta & { sequence: number } {
  const { header, content } = decodeContainer(bytes, { schema: TableDeltaHeader, sizeOf, alignment })
  const buffer = new ArrayBuffer(content.length)
  content.copy(new Uint8Array(buffer))
  const { bytes: sizes, rows, ...about } = header
  let end = 0
  const next = (length: number): Bytes => {
    const offset = end
    end += align(length)
    return { buffer, offset, length }
  }
  const files: TableFiles = {
    rows: next(sizes.rows),
    index: next(sizes.index),
    strings: next(sizes.strings),
    lists: next(sizes.lists),
  }
  const layer = layerOf({ described: header, files, removed: next(rows) })
  // Merging reads all of it anyway.
  const problem = layer.table.problem()
  if (problem !== undefined) throw new Error(problem)
  return { header: about, sequence: header.sequence, layer }
}

function sizeOf({ bytes: { rows, index, strings, lists }, rows: count }: TableDeltaHeader): number {
  return [rows, index, strings, lists, count].reduce((sum, size) => sum + align(size), 0)
}

/** Throws an Error that names what doesn't fit the table, which has these changes already. */
export function checkTableDelta(
  { header, layer }: TableDelta,
  description: Pick<TableDescription, 'name' | 'version' | 'files'>,
  former: readonly Pick<FeatureTable, 'columns'>[],
): void {
  const { name, version } = description
  if (header.table !== name || header.version !== version)
    throw new Error(`is of ${header.table}/${header.version}, not of ${name}/${version}`)
  const base = baseOfTable(description)
  if (header.base !== base)
    throw new Error(`was made for other files of ${name}/${version}: its base is ${header.base}, theirs ${base}`)
  for (const [column, reader] of layer.table.columns) {
    const others = former.flatMap(({ columns }) => columns.get(column) ?? [])
    if (!former[0]!.columns.has(column))
      throw new Error(`has a column ${JSON.stringify(column)}, and the table has none`)
    for (const other of others) {
      const problem = misfit(reader, other)
      if (problem !== undefined) throw new Error(`column ${JSON.stringify(column)} ${problem}`)
    }
  }
}

const align = (bytes: number) => Math.ceil(bytes / alignment) * alignment

function padded({ buffer, offset, length }: Bytes): Uint8Array[] {
  return [new Uint8Array(buffer as ArrayBuffer, offset, length), new Uint8Array(align(length) - length)]
}

import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { DescribedRows, TableColumn, TableDescription } from '../../../schemas/feature-table.ts'
import { emptyIndex, insert } from '../../engines/catalogue/key-index.ts'
import type { BuiltColumn } from './built-columns.ts'
import { type ArrayType, createNumbers } from './bytes.ts'
import { longKey } from './feature-table.ts'
import { ListsColumn } from './lists-column.ts'
import type { NarrowNumbers } from './narrow-numbers.ts'
import { type StringPool, stringAt } from './string-pool.ts'
import type { fileNames } from './table-folder.ts'

/** Most rows, and bytes, that are written at a time. */
const mostRows = 2 ** 14
const blockBytes = 2 ** 21

/** Longest key, bytes, that a row holds; the longer ones are in the index. */
const longestKey = 31

/** In place of the number of a list's values: there is no list. */
const noList = 2 ** 32 - 1

/** Sections of a file begin at multiples of this. */
const alignment = 8

/** The rows of a table, in memory. */
export interface BuiltRows {
  /** In the order of the table's rows. */
  keys: StringPool
  /** By key, its row in the columns, where not all keys have the row of their own number. */
  rowOf: ((key: number) => number) | undefined
  columns: readonly BuiltColumn[]
}

export interface WriteOptions {
  /** An empty folder. */
  folder: string
  rows: BuiltRows
  /** Name of the column of keys. */
  key: string
  signal?: AbortSignal
  /** Receives the number of rows that are written. */
  onProgress?(rows: number): void
}

export type WrittenTable = DescribedRows & Pick<TableDescription, 'files'>

/** Writes the files of a table. Resolves with what describes them. Rejects with the system's error. */
export async function writeTable({ folder, ...options }: WriteOptions): Promise<WrittenTable> {
  const { described, contents } = tableContents(options)
  const files: WrittenTable['files'] = {}
  for (const [name, content] of Object.entries(contents)) files[name] = await writeFile(join(folder, name), content)
  return { ...described, files }
}

export interface TableContents {
  described: DescribedRows
  /** By the file's name. A part may be used again for the next one. */
  contents: Record<(typeof fileNames)[number], Iterable<Uint8Array>>
}

/** The files of a table, part by part. */
export function tableContents({ rows, key, signal, onProgress }: Omit<WriteOptions, 'folder'>): TableContents {
  const { keys, columns } = rows
  const [strings, lists, index] = [new Sections(), new Sections(), new Sections()]
  const layout = layoutOf(keys, columns)
  const described = columns.map((column, i) => describe(column, layout.places[i]!, strings, lists))
  const long = longKeysOf(keys, layout.keyBytes)
  const numbers = new Map(long.map((number, i) => [number, i]))
  index.add(indexOf(keys))
  addStrings(
    index,
    long.map((number) => Buffer.from(stringAt(keys, number))),
  )
  return {
    described: {
      rows: keys.count,
      key: { name: key, width: layout.keyBytes + 1, long: long.length },
      row_bytes: layout.rowBytes,
      columns: described,
    },
    contents: {
      'rows.bin': rowBlocks(rows, layout, numbers, signal, onProgress),
      'index.bin': index.content,
      'strings.bin': strings.content,
      'lists.bin': lists.content,
    },
  }
}

/** The content of a file, part by part. */
class Sections {
  readonly content: Uint8Array[] = []
  #end = 0

  /** Adds a part at a multiple of 8 bytes; returns its place. */
  add({ buffer, byteOffset, byteLength }: ArrayBufferView): number {
    const padding = (alignment - (this.#end % alignment)) % alignment
    if (padding > 0) this.content.push(new Uint8Array(padding))
    const place = this.#end + padding
    this.content.push(new Uint8Array(buffer, byteOffset, byteLength))
    this.#end = place + byteLength
    return place
  }
}

/** Adds offsets, and behind them their strings. */
function addStrings(sections: Sections, strings: readonly Uint8Array[]): void {
  const offsets = new Uint32Array(strings.length + 1)
  strings.forEach(({ length }, i) => {
    offsets[i + 1] = offsets[i]! + length
  })
  sections.add(Buffer.concat([new Uint8Array(offsets.buffer), ...strings]))
}

/** Adds the strings and the lists of a column. */
function describe(column: BuiltColumn, place: number, strings: Sections, lists: Sections): TableColumn {
  const stored = column.pool?.stored
  const [offsets, bytes] = stored ? [strings.add(stored.offsets), strings.add(stored.bytes)] : [0, 0]
  if (!(column instanceof ListsColumn)) return column.describe(place, offsets, bytes)
  const values = createNumbers(column.itemType, column.count)
  column.items?.copyTo(values, 0)
  return column.describe(place, offsets, bytes, lists.add(values))
}

interface Layout {
  /** Most bytes of a key in a row. */
  keyBytes: number
  /** Per column, where a row has it. */
  places: number[]
  rowBytes: number
}

/** Places of columns, the widest first, so that each begins at a multiple of its size. */
function layoutOf({ count, offsets }: StringPool, columns: readonly BuiltColumn[]): Layout {
  let longest = 0
  for (let key = 0; key < count; key++) longest = Math.max(longest, offsets[key + 1]! - offsets[key]!)
  const keyBytes = Math.max(4, Math.min(longest, longestKey))
  const sizes = columns.map((column) => (column instanceof ListsColumn ? 4 : column.bytes))
  const places = new Array<number>(columns.length)
  let end = keyBytes + 1
  for (const i of [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]!)) {
    places[i] = Math.ceil(end / sizes[i]!) * sizes[i]!
    end = places[i] + columns[i]!.bytes
  }
  const widest = Math.max(1, ...sizes)
  return { keyBytes, places, rowBytes: Math.ceil(end / widest) * widest }
}

function longKeysOf({ count, offsets }: StringPool, keyBytes: number): number[] {
  const long: number[] = []
  for (let key = 0; key < count; key++) if (offsets[key + 1]! - offsets[key]! > keyBytes) long.push(key)
  return long
}

/** The index of keys for just as many: that of a pool may have grown further. */
function indexOf(keys: StringPool): Int32Array {
  const index = emptyIndex(keys.count)
  if (index.length === keys.index.length) return keys.index
  for (let i = 0; i < keys.index.length; i += 2)
    if (keys.index[i] !== 0) insert(index, keys.index[i + 1]!, keys.index[i]! - 1)
  return index
}

/** `long`: the number among the long keys, by key. */
function* rowBlocks(
  { keys, rowOf, columns }: BuiltRows,
  { keyBytes, places, rowBytes }: Layout,
  long: ReadonlyMap<number, number>,
  signal: AbortSignal | undefined,
  onProgress: ((rows: number) => void) | undefined,
): Generator<Uint8Array> {
  const blockRows = Math.max(1, Math.min(mostRows, Math.floor(blockBytes / rowBytes)))
  const bytes = new Uint8Array(blockRows * rowBytes)
  const scratch = new Float64Array(blockRows)
  const view = new DataView(bytes.buffer)
  const writers = columns.map((column, i) => writerOf(column, { view, scratch, place: places[i]!, rowBytes }))
  for (let first = 0; first < keys.count; first += blockRows) {
    const count = Math.min(blockRows, keys.count - first)
    bytes.fill(0)
    for (let row = 0; row < count; row++) {
      const key = first + row
      const [start, end] = [keys.offsets[key]!, keys.offsets[key + 1]!]
      const at = row * rowBytes
      const number = end - start > keyBytes ? long.get(key)! : undefined
      bytes[at] = number === undefined ? end - start : longKey
      if (number === undefined) for (let i = start; i < end; i++) bytes[at + 1 + i - start] = keys.bytes[i]!
      else for (let i = 0; i < 4; i++) bytes[at + 1 + i] = number >>> (8 * i)
    }
    const moved = rowOf && Uint32Array.from({ length: count }, (_, row) => rowOf(first + row))
    for (const write of writers) write(first, count, moved)
    yield bytes.subarray(0, count * rowBytes)
    onProgress?.(first + count)
    signal?.throwIfAborted()
  }
}

/** Writes a column of the rows of a block; `moved`: where the column has them, if not from `first` on. */
type ColumnWriter = (first: number, count: number, moved: Uint32Array | undefined) => void

interface BlockPart {
  view: DataView
  /** A number for each row of a block. */
  scratch: Float64Array
  /** Byte of a row at which the column begins. */
  place: number
  rowBytes: number
}

function writerOf(column: BuiltColumn, { view, scratch, place, rowBytes }: BlockPart): ColumnWriter {
  const read = (numbers: NarrowNumbers, first: number, count: number, moved: Uint32Array | undefined) => {
    if (moved === undefined) numbers.copyTo(scratch.subarray(0, count), first)
    else for (let row = 0; row < count; row++) scratch[row] = numbers.at(moved[row]!)
  }
  if (column instanceof ListsColumn)
    return (first, count, moved) => {
      read(column.firsts, first, count, moved)
      for (let row = 0; row < count; row++) view.setUint32(row * rowBytes + place, scratch[row]!, true)
      read(column.counts, first, count, moved)
      for (let row = 0; row < count; row++)
        view.setUint32(row * rowBytes + place + 4, scratch[row] === 0 ? noList : scratch[row]! - 1, true)
    }
  const put = putters[column.type]
  return (first, count, moved) => {
    read(column.stored, first, count, moved)
    for (let row = 0; row < count; row++) put(view, row * rowBytes + place, scratch[row]!)
  }
}

const putters: Record<ArrayType, (view: DataView, at: number, value: number) => void> = {
  uint8: (view, at, value) => view.setUint8(at, value),
  uint16: (view, at, value) => view.setUint16(at, value, true),
  uint32: (view, at, value) => view.setUint32(at, value, true),
  int16: (view, at, value) => view.setInt16(at, value, true),
  int32: (view, at, value) => view.setInt32(at, value, true),
  float32: (view, at, value) => view.setFloat32(at, value, true),
  float64: (view, at, value) => view.setFloat64(at, value, true),
}

/** Writes a file and keeps it on the disk. */
async function writeFile(path: string, content: Iterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const handle = await open(path, 'wx')
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for (const part of content) {
      const written = writeAll(handle, part)
      hash.update(part)
      await written
      bytes += part.length
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten
}

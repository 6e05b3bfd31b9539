import { compileKernel } from '../../base/wasm-kernel.ts'
import { KeyList } from '../../model/contracts/key-list.ts'
import type { CandidateIds } from '../../model/contracts/prediction.ts'
import { JsonWriter } from './json-writer.ts'
import kernel from './number-rows.wat'

/*
 * Most of an answer: rows of numbers between bytes that are the same in each row. A WebAssembly kernel
 * (number-rows.wat) writes blocks of rows in less than half the time of JavaScript, which writes the few rows that the
 * kernel leaves out.
 */

/** A column, and the JSON before each of its numbers. */
export interface NumberColumn {
  before: Uint8Array
  values: Float64Array
}

/** The ids that begin the rows, and the JSON before each. */
export interface RowIds {
  before: Uint8Array
  /** None is undefined. */
  ids: CandidateIds
}

/**
 * Writes rows one after another: the id, where there are ids, then each column's number. The first `skip` bytes of the
 * first row are left out: they separate it from the row before.
 */
export function writeNumberRows(
  json: JsonWriter,
  columns: readonly NumberColumn[],
  rows: number,
  skip: number,
  ids?: RowIds,
): void {
  const fixed = columns.reduce((sum, { before }) => sum + before.length, ids?.before.length ?? 0)
  const isSmall = rows * columns.length < leastNumbers
  if (isSmall || columns.length > mostColumns || fixed > mostPieceBytes) {
    for (let row = 0; row < rows; row++) writeRow(json, columns, row, skip, ids)
    return
  }
  kept ??= createKernel()
  loadPieces(kept, columns, ids)
  const tokens = ids && tokensOf(ids.ids)
  const most = Math.min(mostRows, Math.floor(outBytes / (fixed + numberBytes * columns.length)))
  let row = 0
  while (row < rows) {
    let count = Math.min(most, rows - row)
    while (tokens && lengthOf(tokens, row, count) > mostIdBytes) count >>= 1
    if (count > 0) writeBlock(kept, json, columns, row, count, skip, ids, tokens)
    else writeRow(json, columns, row, skip, ids)
    row += Math.max(1, count)
  }
}

function writeBlock(
  { bytes, words, numbers, rows: write }: Kernel,
  json: JsonWriter,
  columns: readonly NumberColumn[],
  first: number,
  count: number,
  skip: number,
  ids: RowIds | undefined,
  tokens: Tokens | undefined,
): void {
  let moveStart = 0
  let moveEnd = 0
  if (tokens) {
    words.set(tokens.starts.subarray(first, first + count), starts >> 2)
    words.set(tokens.ends.subarray(first, first + count), ends >> 2)
    const from = tokens.starts[first]! - tokens.around
    bytes.set(tokens.bytes.subarray(from, from + lengthOf(tokens, first, count)), idBytes)
    moveStart = idBytes - from - tokens.around
    moveEnd = idBytes - from + tokens.around
  }
  for (let i = 0; i < columns.length; i++) {
    numbers.set(columns[i]!.values.subarray(first, first + count), (values >> 3) + i * count)
  }
  let row = 0
  while (row < count) {
    const next = write(row, count, out, table, columns.length, values, count, starts, moveStart, ends, moveEnd)
    if (next > row) json.raw(bytes, first + row === 0 ? out + skip : out, words[0])
    if (next < count) writeRow(json, columns, first + next, skip, ids)
    row = next + 1
  }
}

function writeRow(json: JsonWriter, columns: readonly NumberColumn[], row: number, skip: number, ids?: RowIds): void {
  let from = row === 0 ? skip : 0
  if (ids) {
    json.raw(ids.before, from)
    json.idAt(ids.ids, row)
    from = 0
  }
  for (const { before, values } of columns) {
    json.raw(before, from)
    json.number(values[row]!)
    from = 0
  }
}

/** Ids as JSON, and where each begins and ends in it. */
interface Tokens extends Pick<KeyList, 'bytes' | 'starts' | 'ends'> {
  /** Bytes of a quote where `starts` and `ends` leave it out, else 0. */
  around: number
}

function tokensOf(ids: CandidateIds): Tokens {
  // With their quotes.
  if (ids instanceof KeyList) return { bytes: ids.bytes, starts: ids.starts, ends: ids.ends, around: 1 }
  const json = new JsonWriter(16 * ids.length)
  const starts = new Int32Array(ids.length)
  const ends = new Int32Array(ids.length)
  for (let i = 0; i < ids.length; i++) {
    starts[i] = json.length
    json.idAt(ids, i)
    ends[i] = json.length
  }
  return { bytes: json.finish(), starts, ends, around: 0 }
}

/** Bytes from the first to the last of `count` ids. */
function lengthOf({ starts, ends, around }: Tokens, first: number, count: number): number {
  return count === 0 ? 0 : ends[first + count - 1]! - starts[first]! + 2 * around
}

/** JavaScript writes fewer sooner than it copies them to the kernel. */
const leastNumbers = 8

/** Most bytes of a number: a sign, `0.`, six zeros and eight digits. */
const numberBytes = 17

/*
 * The kernel's memory: how far it wrote, powers of ten, the addresses and lengths of the pieces, the pieces, where ids
 * begin and end, the ids, the columns, and what it writes.
 */
const mostColumns = 64
const mostRows = 512
const mostPieceBytes = 8000
const mostIdBytes = 65_000
const outBytes = 65_000
const powers = 64
const table = powers + 8 * 16
const pieces = table + 8 * (mostColumns + 1)
const starts = pieces + 8192
const ends = starts + 4 * mostRows
const idBytes = ends + 4 * mostRows
const values = idBytes + 2 ** 16
const out = values + 8 * mostRows * mostColumns
const size = out + 2 ** 17

interface Kernel {
  bytes: Uint8Array
  words: Int32Array
  numbers: Float64Array
  /** See number-rows.wat. */
  rows(...addressesAndCounts: number[]): number
}

/** One for the thread: nothing in it outlives a call of `writeNumberRows`. */
let kept: Kernel | undefined

function createKernel(): Kernel {
  const { buffer, exports } = compileKernel(kernel, 'number-rows')(size)
  const numbers = new Float64Array(buffer)
  for (let exponent = 0; exponent < 16; exponent++) numbers[(powers >> 3) + exponent] = 10 ** exponent
  return {
    bytes: new Uint8Array(buffer),
    words: new Int32Array(buffer),
    numbers,
    ...(exports as unknown as Pick<Kernel, 'rows'>),
  }
}

function loadPieces({ bytes, words }: Kernel, columns: readonly NumberColumn[], ids: RowIds | undefined): void {
  let at = pieces
  const load = (place: number, piece: Uint8Array | undefined) => {
    words[(table >> 2) + 2 * place] = at
    words[(table >> 2) + 2 * place + 1] = piece?.length ?? -1
    if (piece === undefined) return
    bytes.set(piece, at)
    at += piece.length
  }
  load(0, ids?.before)
  for (let i = 0; i < columns.length; i++) load(i + 1, columns[i]!.before)
}

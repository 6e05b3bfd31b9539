import { equal, positive, product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { reshapedDims, slicedRange, splitSizes } from '../ir/shapes.ts'
import { NotTranslated } from './errors.ts'
import type { Frame } from './program.ts'
import { type Part, sizes, type Tensor } from './tensor.ts'
import type { Translation } from './translation.ts'

/* Operators that move numbers, or give them other dimensions. Look-ups and inner axes alone copy any. */

/** Rows of a constant table by ids; or, for each row, the row of its request; or columns of a tensor. */
export function gather(t: Translation, node: NodeProto): void {
  const [table, indices] = node.input as [string, string]
  if (intAttribute(node, 'axis', 0) !== 0) {
    gatherColumns(t, node)
    return
  }
  if (!t.isConstant(table)) {
    const from = t.tensor(table)
    if (!t.isRequests(indices) || from.each !== 'requests') throw new NotTranslated('Gather from no constant table')
    t.set(node.output[0]!, { each: 'rows', dims: from.dims, kind: from.kind, parts: [], ofRequest: from })
    return
  }
  const { rows, width, kind, bytes } = t.tables.open(t.graph, table)
  const ids = t.whole(t.flatOrNot(indices))
  if (ids.kind !== 'int32') throw new NotTranslated('Gather by floats')
  const dims = width === undefined ? ids.dims : [...ids.dims, width]
  const out = t.answer(node, ids.each, dims, kind, ids.flat)
  const count = product(ids.dims)
  const copyTo = copyingFrom(bytes, (width ?? 1) * sizes[kind])
  t.program.step((frame) => {
    const { at, integers } = frame
    const from = at[ids.part.buffer]! / 4 + ids.part.offset
    const copy = copyTo(frame, at[out.buffer]!)
    return (call) => {
      const places = placesOf(integers, from, ids.part.stride, call[ids.each], count, rows, table)
      copy(places, call[ids.each] * count)
    }
  })
}

/** Creates the functions that copy rows of a table to a place of a frame, as many bytes at a time as they allow. */
function copyingFrom(
  { buffer, byteOffset, length }: Uint8Array,
  rowBytes: number,
): ({ bytes, integers, longs }: Frame, at: number) => (places: Int32Array, count: number) => void {
  const fits = (size: number) => (rowBytes | byteOffset) % size === 0
  if (!fits(4)) {
    const table = new Uint8Array(buffer, byteOffset, length)
    return ({ bytes }, at) =>
      (places, count) =>
        copyRows(table, rowBytes, places, count, bytes, at)
  }
  const words = new Int32Array(buffer, byteOffset, length / 4)
  if (!fits(16))
    return ({ integers }, at) =>
      (places, count) =>
        copyRows(words, rowBytes / 4, places, count, integers, at / 4)
  const pairs = new BigInt64Array(buffer, byteOffset, length / 8)
  return ({ longs }, at) =>
    (places, count) =>
      copyPairs(pairs, words, rowBytes / 8, places, count, longs, at / 8)
}

/** Columns of a tensor of floats, by constant indices. */
function gatherColumns(t: Translation, node: NodeProto): void {
  const { part: x, each, dims } = t.floats(node.input[0]!, node)
  const indices = t.integers(node.input[1]!)
  const rank = t.graph.dimsOf(node.input[1]!)!.length
  const isColumns = dims.length === 1 && positive(intAttribute(node, 'axis', 0), 2) === 1
  if (!isColumns || rank > 1 || indices.some((index) => index < 0 || index >= dims[0]!))
    throw new NotTranslated('Gather of columns')
  // A single index drops the axis.
  const out = t.answer(node, each, rank === 0 ? [] : [indices.length], 'float32')
  t.program.step(({ at, floats }) => {
    const [first, start] = [at[x.buffer]! / 4 + x.offset, at[out.buffer]! / 4]
    return (call) => {
      let [from, target] = [first, start]
      for (let row = 0; row < call[each]; row++, from += x.stride)
        for (let i = 0; i < indices.length; i++) floats[target++] = floats[from + indices[i]!]!
    }
  })
}

/**
 * The table's rows, in the order of the ids, and then whatever else; lives until the next call. Throws RangeError for
 * an id that the table doesn't have.
 */
function placesOf(
  integers: Int32Array,
  from: number,
  stride: number,
  count: number,
  width: number,
  rows: number,
  table: string,
): Int32Array {
  if (scratch.length < count * width) scratch = new Int32Array(2 * count * width)
  const places = scratch
  let to = 0
  for (let row = 0; row < count; row++)
    for (let i = 0; i < width; i++) {
      let place = integers[from + row * stride + i]!
      // Unsigned, negative ones are larger than any place. ONNX counts them from the end.
      if (place >>> 0 >= rows) {
        place += rows
        if (place >>> 0 >= rows)
          throw new RangeError(`the table ${table} has ${rows} rows, and none for the id ${place - rows}`)
      }
      places[to++] = place
    }
  return places
}

let scratch = new Int32Array(0)

/** Rows of a table that are read before the first of them is copied. */
const group = 64

/**
 * Brings rows of a table into the processor's cache. A loop that only reads waits for many of them at a time; one that
 * copies waits for a few.
 */
function touchRows(
  table: Int32Array | Uint8Array,
  width: number,
  places: Int32Array,
  first: number,
  end: number,
): void {
  let read = 0
  for (let i = first; i < end; i++) read ^= table[places[i]! * width]!
  lastRead[0] = read
}

/** Keeps the compiler from leaving the reading out. */
const lastRead = new Int32Array(1)

/** Rows of a whole number of pairs: in a loop over single ones, most of the time is the loop's. */
function copyPairs(
  table: BigInt64Array,
  words: Int32Array,
  width: number,
  places: Int32Array,
  count: number,
  target: BigInt64Array,
  start: number,
): void {
  let to = start
  for (let first = 0; first < count; first += group) {
    const end = Math.min(first + group, count)
    touchRows(words, 2 * width, places, first, end)
    for (let i = first; i < end; i++) {
      const from = places[i]! * width
      for (let j = 0; j < width; j += 2, to += 2) {
        target[to] = table[from + j]!
        target[to + 1] = table[from + j + 1]!
      }
    }
  }
}

function copyRows<T extends Int32Array | Uint8Array>(
  table: T,
  width: number,
  places: Int32Array,
  count: number,
  target: T,
  start: number,
): void {
  let to = start
  for (let first = 0; first < count; first += group) {
    const end = Math.min(first + group, count)
    touchRows(table, width, places, first, end)
    for (let i = first; i < end; i++) {
      const from = places[i]! * width
      for (let j = 0; j < width; j++) target[to++] = table[from + j]!
    }
  }
}

/** The same numbers under other dimensions; rows stay rows. */
export function reshape(t: Translation, node: NodeProto): void {
  const { flat, ...from } = t.flatOrNot(node.input[0]!)
  const target = t.integers(node.input[1]!)
  const isFlat = target.length === 1 && target[0] === -1 && product(from.dims) !== 1
  // From a flat tensor, 0 would copy another dimension.
  const dims = isFlat ? from.dims : flat && target.includes(0) ? undefined : reshapedDims(from.dims, target)
  if (dims === undefined || (isFlat && from.dims.length > 1)) throw new NotTranslated(`Reshape to [${target}]`)
  t.set(node.output[0]!, { ...from, dims, ...(isFlat && { flat: true }) })
}

export function flatten(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  if (intAttribute(node, 'axis', 1) !== 1) throw new NotTranslated('Flatten joins rows')
  t.set(node.output[0]!, { ...from, dims: [product(from.dims)] })
}

/** How the columns of a tensor lie along an axis, which counts the rows: runs of `inner` of them, `outer` times. */
function along({ dims }: Tensor, axis: number): { index: number; outer: number; inner: number } {
  const index = positive(axis, dims.length + 1) - 1
  if (index < 0 || index >= dims.length) throw new NotTranslated('an axis that is the rows')
  return { index, outer: product(dims.slice(0, index)), inner: product(dims.slice(index + 1)) }
}

/** Where runs of columns begin: at column `first` of a part, and then every `apart` columns. */
interface Runs {
  part: Part
  first: number
  apart: number
}

/** Adds steps: copy `count` runs of `width` columns. */
function copyRuns(t: Translation, { each, kind }: Tensor, width: number, count: number, from: Runs, to: Runs): void {
  const run = ({ part, first, apart }: Runs, i: number) => ({ ...part, offset: part.offset + first + i * apart, width })
  for (let i = 0; i < count; i++) t.copyColumns(each, run(from, i), run(to, i), sizes[kind])
}

/** The parts of a tensor lie side by side in a row, unless the axis is an inner one. */
export function concat(t: Translation, node: NodeProto): void {
  const tensors = node.input.map((name) => t.tensor(name))
  const [first] = tensors as [Tensor]
  const { index, outer, inner } = along(first, intAttribute(node, 'axis', 1))
  const others = (dims: readonly number[]) => dims.toSpliced(index, 1)
  const { each, kind } = first
  const alike = tensors.every(
    (tensor) => tensor.kind === kind && tensor.each === each && equal(others(tensor.dims), others(first.dims)),
  )
  if (!alike) throw new NotTranslated('Concat of unlike tensors')
  const total = tensors.reduce((sum, { dims }) => sum + dims[index]!, 0)
  const dims = first.dims.with(index, total)
  const [name] = node.output as [string]
  if (outer === 1) {
    // A part that is an input, or a request's, is copied into a buffer first.
    const parts = tensors.flatMap((tensor) =>
      tensor.input !== undefined || tensor.ofRequest ? [t.whole(tensor).part] : tensor.parts,
    )
    t.set(name, { each, kind, dims, parts })
    return
  }
  const out = t.answer(node, each, dims, kind)
  let start = 0
  for (const tensor of tensors) {
    const { part } = t.whole(tensor)
    const width = tensor.dims[index]! * inner
    const from = { part, first: 0, apart: width }
    copyRuns(t, first, width, outer, from, { part: out, first: start, apart: total * inner })
    start += width
  }
}

/** Places `start` … `start + count` of an axis: the same numbers, seen from elsewhere, unless it is an inner axis. */
function columnsOf(t: Translation, from: Tensor, axis: number, start: number, count: number): Tensor {
  const { index, outer, inner } = along(from, axis)
  const [first, width] = [start * inner, count * inner]
  const { each, kind } = from
  const dims = from.dims.with(index, count)
  if (outer === 1) {
    // A tensor of one part may be an input that is not copied yet.
    const own = from.parts.length > 1 ? partOf(from.parts, first, width) : undefined
    return { each, kind, dims, parts: [own ?? partOf([t.whole(from).part], first, width)!] }
  }
  const { part } = t.whole(from)
  const to = t.result(each, dims, kind)
  const [out] = to.parts as [Part]
  const apart = from.dims[index]! * inner
  copyRuns(t, to, width, outer, { part, first, apart }, { part: out, first: 0, apart: width })
  return to
}

/** Columns that lie in one of the parts, where they are; otherwise undefined. */
function partOf(parts: readonly Part[], first: number, width: number): Part | undefined {
  let start = 0
  for (const part of parts) {
    const from = first - start
    if (from >= 0 && from + width <= part.width) return { ...part, offset: part.offset + from, width }
    start += part.width
  }
  return undefined
}

export function slice(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  const range = slicedRange(from.dims, node, (name) => t.integers(name))
  if (range === undefined) throw new NotTranslated('Slice of several axes, or in steps')
  t.set(node.output[0]!, columnsOf(t, from, range.axis, range.start, range.count))
}

export function split(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  const axis = intAttribute(node, 'axis', 0)
  const side = from.dims[positive(axis, from.dims.length + 1) - 1]
  const sizes = splitSizes(node, side, (name) => t.integers(name))
  if (sizes === undefined) throw new NotTranslated('Split into parts of unknown sizes')
  let start = 0
  for (const [i, size] of sizes.entries()) {
    t.set(node.output[i]!, columnsOf(t, from, axis, start, size))
    start += size
  }
}

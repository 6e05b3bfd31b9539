import { compileKernel } from '../../../base/wasm-kernel.ts'
import type { LayerParts } from '../../contracts/compiled-plan.ts'
import kernel from './add-rows.wat'

/*
 * The cached parts of candidates, in memory that a WebAssembly kernel (add-rows.wat) adds contexts in, and that ONNX
 * Runtime reads: one pass over memory, where its own Gather, Add and Relu take three.
 */

/**
 * In float32; in bfloat16, in which they are kept, too; or as bytes, by these factors of the columns: round(sum ·
 * factor), halves to even, within 0 … 255. Other widths than whole numbers of 16 are in float32.
 */
export type SumFormat = 'float32' | 'bfloat16' | Float32Array

export interface RowMemoryOptions {
  layers: readonly LayerParts[]
  /** How the sums of each layer are wanted; default: in float32. */
  formats?: readonly SumFormat[]
  /** Rows that can be kept. */
  slots: number
  /** Most rows per `add`. */
  mostRows: number
}

export interface RowMemory {
  readonly mostRows: number
  /** See `TimedVariant`. */
  readonly timedSlots: number
  /** Keeps rows of each kept layer's `parts` [rows, width], each in its slot. */
  keep(slots: Int32Array, parts: readonly Float32Array[]): void
  /**
   * Keeps a row that is whole: `write` writes the parts of all kept layers, one after the other, to `floats` from `at`
   * on.
   */
  keepRow(slot: number, write: (floats: Float32Array, at: number) => void): void
  /**
   * Has the system provide the memory of the first slots now, instead of when they are first written to: 6 µs for a
   * slot of 8 KiB on an Intel Xeon.
   */
  provide(slots: number): void
  /**
   * The sums of each layer, for all rows, request by request: the row's slot + the request's row of `contexts`
   * [requests, …], or nothing where the layer has no columns there. [rows, width] each, in the layer's format, bfloat16
   * as its bits; they live until the next call. Throws RangeError where there are more rows than can be.
   */
  add(slots: readonly Int32Array[], contexts: Float32Array): Sums[]
}

type Sums = Float32Array | Uint16Array | Uint8Array

/** Largest memory, bytes: it is addressed by 32 bits. */
export const mostBytes = 2 ** 32

/** Rows that are brought into the processor's cache before the first of them is added to. */
const piece = 128

/** The least that a system provides, bytes. */
const pageBytes = 4096

/** Slots that timed calls read, bytes: more than the second-level cache of a core. */
const timedBytes = 4 * 2 ** 20

/** Bytes of a slot: a whole number of the processor's cache lines. */
export function bytesOfSlot(layers: readonly LayerParts[], formats: readonly SumFormat[]): number {
  return Math.ceil(placesOf(layers, formats).end / 64) * 64
}

/**
 * Memory that is never written to costs nothing. All layers' parts of a slot lie side by side: side by side with those
 * of other slots, each would be in a page of its own, and finding its place would take longer than reading it.
 *
 * Throws RangeError where the system refuses the memory, or it would be too large.
 */
export function createRowMemory({ layers, formats = [], slots, mostRows }: RowMemoryOptions): RowMemory {
  let end = 0
  const place = (elements: number): number => {
    const start = end
    // A line of the processor's cache for each.
    end = Math.ceil((start + elements * 4) / 64) * 64
    return start
  }
  const widths = layers.map(({ width }) => width)
  const width = widths.reduce((sum, width) => sum + width, 0)
  const slotsAt = place(mostRows)
  const zerosAt = place(Math.max(0, ...widths))
  const contextsAt = place(mostRows * width)
  // oneDNN reads some rows more than there are.
  const sumsAt = widths.map((width, layer) => place((mostRows + (isFloat32(formats[layer]) ? 0 : 32)) * width))
  const factorsAt = widths.map((width, layer) => (formats[layer] instanceof Float32Array ? place(width) : 0))
  const slotBytes = bytesOfSlot(layers, formats)
  // The parts of a slot in float32, where they are kept in another format.
  const packs = layers.some(({ kept }, layer) => kept && formats[layer] === 'bfloat16')
  const partsAt = packs ? place(width) : 0
  const slabAt = place((slots * slotBytes) / 4)
  const { offsets } = placesOf(layers, formats)
  const { buffer, exports } = createKernel(end)
  const kernels = exports as unknown as Kernels
  const floats = new Float32Array(buffer)
  const integers = new Int32Array(buffer)
  formats.forEach((format, layer) => {
    if (format instanceof Float32Array) floats.set(format, factorsAt[layer]! / 4)
  })

  const sums = layers.map(({ width, kept, relu, context }, layer) => {
    const { compute, Sums, lowest } = kernelOf(kernels, formats[layer])
    const more = lowest === undefined ? factorsAt[layer]! : relu ? 0 : lowest
    // Where nothing of a layer is kept, every slot is the same row of zeros.
    const [slab, stride] = kept ? [slabAt + offsets[layer]!, slotBytes] : [zerosAt, 0]
    const [bytes, rowBytes] = [width * 4, width * Sums.BYTES_PER_ELEMENT]
    return { compute, Sums, slab, stride, context, bytes, more, out: sumsAt[layer]!, rowBytes }
  })

  return {
    mostRows,
    timedSlots: Math.max(1, Math.min(slots, Math.ceil(timedBytes / Math.max(1, slotBytes)))),
    keep(slots, parts) {
      parts.forEach((values, layer) => {
        const width = widths[layer]!
        const packs = formats[layer] === 'bfloat16'
        for (let row = 0; row < slots.length; row++) {
          const to = slabAt + slots[row]! * slotBytes + offsets[layer]!
          floats.set(values.subarray(row * width, (row + 1) * width), (packs ? partsAt : to) / 4)
          if (packs) kernels.packRow(partsAt, width * 4, to)
        }
      })
    },
    keepRow(slot, write) {
      const to = slabAt + slot * slotBytes
      write(floats, (packs ? partsAt : to) / 4)
      if (!packs) return
      let from = partsAt
      layers.forEach(({ width, kept }, layer) => {
        if (!kept) return
        if (formats[layer] === 'bfloat16') kernels.packRow(from, width * 4, to + offsets[layer]!)
        else floats.copyWithin((to + offsets[layer]!) / 4, from / 4, from / 4 + width)
        from += width * 4
      })
    },
    provide(count) {
      const end = slabAt + Math.min(count, slots) * slotBytes
      for (let at = slabAt; at < end; at += pageBytes) floats[at / 4] = 0
    },
    add(requests, contexts) {
      const rows = requests.reduce((sum, { length }) => sum + length, 0)
      if (rows > mostRows) throw new RangeError(`${rows} rows are more than ${mostRows}`)
      let start = 0
      floats.set(contexts, contextsAt / 4)
      const contextBytes = (contexts.length / requests.length) * 4
      for (let i = 0; i < requests.length; i++) {
        const all = requests[i]!
        for (let first = 0; first < all.length; first += piece) {
          const slots = all.length <= piece ? all : all.subarray(first, first + piece)
          const { length } = slots
          integers.set(slots, slotsAt / 4)
          kernels.touchRows(slabAt, slotBytes, slotsAt, length, slotBytes)
          for (const { compute, slab, stride, context, bytes, more, out, rowBytes } of sums) {
            const row = context < 0 ? zerosAt : contextsAt + i * contextBytes + context * 4
            compute(slab, stride, slotsAt, length, row, bytes, more, out + start * rowBytes)
          }
          start += length
        }
      }
      return sums.map(({ Sums, out, bytes }) => new Sums(buffer, out, (rows * bytes) / 4))
    },
  }
}

type Kernels = Record<'addRows' | 'addRowsRounded' | 'addRowsScaled', AddRows> & {
  packRow: PackRow
  touchRows: TouchRows
}

/** The kernel that computes sums in a format, and the least sum without a ReLU; for bytes, factors take its place. */
function kernelOf({ addRows, addRowsRounded, addRowsScaled }: Kernels, format: SumFormat = 'float32') {
  if (format === 'float32') return { compute: addRows, Sums: Float32Array, lowest: Number.NEGATIVE_INFINITY }
  if (format === 'bfloat16') return { compute: addRowsRounded, Sums: Uint16Array, lowest: -(2 ** 15) }
  return { compute: addRowsScaled, Sums: Uint8Array }
}

const isFloat32 = (format: SumFormat | undefined) => format === undefined || format === 'float32'

/** The place of each layer's part in a slot, bytes; kept layers come first. */
function placesOf(layers: readonly LayerParts[], formats: readonly SumFormat[]): { offsets: number[]; end: number } {
  let end = 0
  const offsets = layers.map(({ width, kept }, layer) => {
    const start = end
    if (kept) end += width * (formats[layer] === 'bfloat16' ? 2 : 4)
    return start
  })
  return { offsets, end }
}

/**
 * Addresses and sizes are in bytes; an address beyond 2^31 wraps around, and is read as it was. `more`: the least sum,
 * in bfloat16 its bits as an int16; where sums become bytes, the address of the factors.
 */
type AddRows = (
  slab: number,
  stride: number,
  slots: number,
  count: number,
  row: number,
  bytes: number,
  more: number,
  out: number,
) => void

/** Addresses and sizes are in bytes. */
type TouchRows = (slab: number, stride: number, slots: number, count: number, bytes: number) => number

/** Addresses and sizes are in bytes. */
type PackRow = (from: number, bytes: number, out: number) => void

const createKernel = compileKernel(kernel, 'rows')

import { compileKernel } from '../base/wasm-kernel.ts'
import type { LayerParts } from '../contracts/compiled-plan.ts'

/*
 * The cached parts of candidates, in memory that a WebAssembly kernel (add-rows.wat) adds contexts in, and that ONNX Runtime
 * reads: one pass over memory, where its own Gather, Add and Relu take three.
 */

export interface RowMemoryOptions {
  layers: readonly LayerParts[]
  /** Layers whose sums are wanted in bfloat16: their widths are whole numbers of 8. Default: none. */
  rounded?: readonly boolean[]
  /** Rows that can be kept. */
  slots: number
  /** Most rows per `add`. */
  mostRows: number
}

export interface RowMemory {
  readonly mostRows: number
  /** Keeps rows of each kept layer's `parts` [rows, width], each in its slot. */
  keep(slots: Int32Array, parts: readonly Float32Array[]): void
  /** Keeps a row that is whole: `write` writes the parts of all kept layers, one after the other, to `floats` from `at` on. */
  keepRow(slot: number, write: (floats: Float32Array, at: number) => void): void
  /**
   * Has the system provide the memory of the first slots now, instead of when they are first written to: 6 µs for a slot of
   * 8 KiB on an Intel Xeon.
   */
  provide(slots: number): void
  /**
   * Of each layer, for all rows, request by request: the row's slot + the request's row of `contexts` [requests, …],
   * or nothing where the layer has no columns there. [rows, width] each, in float32, or in bfloat16's bits where that is wanted;
   * lives until the next call. Throws RangeError where there are more rows than can be.
   */
  add(slots: readonly Int32Array[], contexts: Float32Array): (Float32Array | Uint16Array)[]
}

/** Largest memory, bytes: it is addressed by 32 bits. */
export const mostBytes = 2 ** 32

/** The least that a system provides, bytes. */
const pageBytes = 4096

/** Floats of a slot: a whole number of the processor's cache lines. */
export function slotWidth(layers: readonly LayerParts[]): number {
  return Math.ceil(layers.reduce((sum, { width, kept }) => sum + (kept ? width : 0), 0) / 16) * 16
}

/**
 * Memory that is never written to costs nothing. All layers' parts of a slot lie side by side: side by side with those of other
 * slots, each would be in a page of its own, and finding its place would take longer than reading it.
 *
 * Throws RangeError where the system refuses the memory, or it would be too large.
 */
export function createRowMemory({ layers, rounded = [], slots, mostRows }: RowMemoryOptions): RowMemory {
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
  const sumsAt = widths.map((width, layer) => place((mostRows + (rounded[layer] ? 32 : 0)) * width))
  const slotBytes = slotWidth(layers) * 4
  const slabAt = place((slots * slotBytes) / 4)
  const offsets = offsetsOf(layers)
  const { buffer, exports } = createKernel(end)
  const addRows = exports.addRows as AddRows
  const addRowsRounded = exports.addRowsRounded as AddRows
  const floats = new Float32Array(buffer)
  const integers = new Int32Array(buffer)

  return {
    mostRows,
    keep(slots, parts) {
      parts.forEach((values, layer) => {
        const width = widths[layer]!
        for (let row = 0; row < slots.length; row++)
          floats.set(
            values.subarray(row * width, (row + 1) * width),
            (slabAt + slots[row]! * slotBytes + offsets[layer]!) / 4,
          )
      })
    },
    keepRow(slot, write) {
      write(floats, (slabAt + slot * slotBytes) / 4)
    },
    provide(count) {
      const end = slabAt + Math.min(count, slots) * slotBytes
      for (let at = slabAt; at < end; at += pageBytes) floats[at / 4] = 0
    },
    add(requests, contexts) {
      const rows = requests.reduce((sum, { length }) => sum + length, 0)
      if (rows > mostRows) throw new RangeError(`${rows} rows are more than ${mostRows}`)
      let start = 0
      for (const slots of requests) {
        integers.set(slots, slotsAt / 4 + start)
        start += slots.length
      }
      floats.set(contexts, contextsAt / 4)
      const contextBytes = (contexts.length / requests.length) * 4
      return layers.map(({ width, kept, relu, context }, layer) => {
        const bytes = width * 4
        const [compute, size] = rounded[layer] ? [addRowsRounded, 2] : [addRows, 4]
        const floor = relu ? 0 : Number.NEGATIVE_INFINITY
        let start = 0
        for (let i = 0; i < requests.length; i++) {
          const { length } = requests[i]!
          const row = context < 0 ? zerosAt : contextsAt + i * contextBytes + context * 4
          const slots = slotsAt + start * 4
          const out = sumsAt[layer]! + start * width * size
          // Of a layer of which nothing is kept, every slot is the same row of zeros.
          const [slab, stride] = kept ? [slabAt + offsets[layer]!, slotBytes] : [zerosAt, 0]
          compute(slab, stride, slots, length, row, bytes, floor, out)
          start += length
        }
        return rounded[layer]
          ? new Uint16Array(buffer, sumsAt[layer]!, rows * width)
          : new Float32Array(buffer, sumsAt[layer]!, rows * width)
      })
    },
  }
}

/** Of each layer the place of its part in a slot, bytes; kept layers come first. */
function offsetsOf(layers: readonly LayerParts[]): number[] {
  let end = 0
  return layers.map(({ width, kept }) => {
    const start = end
    if (kept) end += width * 4
    return start
  })
}

/** Addresses and sizes are in bytes; an address beyond 2^31 wraps around, and is read as it was. */
type AddRows = (
  slab: number,
  stride: number,
  slots: number,
  count: number,
  row: number,
  bytes: number,
  floor: number,
  out: number,
) => void

/** add-rows.wat, compiled. */
export const kernelBytes =
  'AGFzbQEAAAABEQJgCH9/f39/f31/AGABewF7AhABBHJvd3MGbWVtb3J5AgAAAwQDAAABBxwCB2FkZFJvd3MAAA5hZGRSb3dzUm91bmRlZAABCvwDA68CAwF7BX8BfSAG/RMhCCACIANBAnRqIQkgBUFAcSENIAchCwJAA0AgAiAJTw0BIAAgAigCACABbGohCkEAIQwCQANAIAwgDU8NASALIAxqIAogDGr9AAQAIAQgDGr9AAQA/eQBIAj96wH9CwQAIAsgDGogCiAMav0ABBAgBCAMav0ABBD95AEgCP3rAf0LBBAgCyAMaiAKIAxq/QAEICAEIAxq/QAEIP3kASAI/esB/QsEICALIAxqIAogDGr9AAQwIAQgDGr9AAQw/eQBIAj96wH9CwQwIAxBwABqIQwMAAsLAkADQCAMIAVPDQEgCiAMaioCACAEIAxqKgIAkiEOIAsgDGogBiAOIA4gBl0bOAIAIAxBBGohDAwACwsgCyAFaiELIAJBBGohAgwACwsLpQEDAXsDfwJ7IAb9EyEIIAIgA0ECdGohCQJAA0AgAiAJTw0BIAAgAigCACABbGohCkEAIQsCQANAIAsgBU8NASAKIAtq/QAEACAEIAtq/QAEAP3kASAI/esBIQwgCiALav0ABBAgBCALav0ABBD95AEgCP3rASENIAcgDBACIA0QAv2GAf0LBAAgB0EQaiEHIAtBIGohCwwACwsgAkEEaiECDAALCwsiACAAQf//Af0R/a4BIABBEP2tAUEB/RH9Tv2uAUEQ/a0BCw=='

const createKernel = compileKernel(kernelBytes, 'rows')

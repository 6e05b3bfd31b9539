/** Rows of one block: columns grow by blocks, so that growing copies little. */
export const blockRows = 2 ** 16
const blockBits = 16
const blockMask = blockRows - 1

/** In `KeptRows.places`: a row that is not kept. */
const nowhere = blockRows - 1

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int8Array | Float32Array | Float64Array
type NumberArray = Numbers | Int16Array | Int32Array

/** A type of numbers. */
interface Width {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, offset: number, length: number): Numbers
}

/** Zeros in memory that `free` gives back immediately, rather than when garbage is collected. */
function allocate(width: Width, length: number): Numbers {
  const bytes = length * width.BYTES_PER_ELEMENT
  return new width(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, length)
}

function free({ buffer }: Numbers): void {
  ;(buffer as ArrayBuffer).resize(0)
}

/** Index of the first number that is another one; −1: none. −0 is another one than 0, NaN is the same. */
function firstDifference(numbers: Float64Array, others: Float64Array): number {
  for (let i = 0; i < numbers.length; i++) if (!Object.is(numbers[i], others[i])) return i
  return -1
}

/** Which rows columns keep when they let go of others. */
export class KeptRows {
  /** Per block: the offsets of its kept rows, ascending, and where each row of the block is among them. */
  readonly #blocks: { offsets: Uint16Array; places: Uint16Array }[] = []

  /** `marks`: per row, whether it is kept. */
  constructor(marks: Uint8Array) {
    for (let first = 0; first < marks.length; first += blockRows) {
      const inside = marks.subarray(first, first + blockRows)
      const places = new Uint16Array(inside.length).fill(nowhere)
      const offsets: number[] = []
      inside.forEach((mark, offset) => {
        if (mark !== 0) places[offset] = offsets.push(offset) - 1
      })
      this.#blocks.push({ offsets: Uint16Array.from(offsets), places })
    }
  }

  /** Undefined where all rows of a block are kept. */
  of(block: number): { offsets: Uint16Array; places: Uint16Array } | undefined {
    const kept = this.#blocks[block]!
    return kept.offsets.length === kept.places.length ? undefined : kept
  }
}

/** A growing column of numbers, each block in the first of the `widths` that gives its values back. */
export class Blocks {
  readonly #blocks: Numbers[] = []
  /** Per block where its rows are, if some were let go. */
  readonly #places: (Uint16Array | undefined)[] = []
  readonly #widths: readonly Width[]
  /** Index of the last block's. */
  #width = 0
  length = 0

  /** `widths`: from the narrowest to one that holds all values. */
  constructor(widths: readonly Width[]) {
    this.#widths = widths
  }

  push(value: number): void {
    const row = this.length++
    const block = row >>> blockBits
    const offset = row & blockMask
    if (offset === 0) {
      this.#width = 0
      this.#blocks.push(allocate(this.#widths[0]!, blockRows))
    }
    const numbers = this.#blocks[block]!
    numbers[offset] = value
    if (!Object.is(numbers[offset], value)) this.#widen(value, block, offset)
  }

  #widen(value: number, block: number, offset: number): void {
    while (this.#width < this.#widths.length - 1 && !Object.is(this.#blocks[block]![offset], value)) {
      const narrow = this.#blocks[block]!
      const wide = allocate(this.#widths[++this.#width]!, blockRows)
      wide.set(narrow.subarray(0, offset))
      wide[offset] = value
      this.#blocks[block] = wide
      free(narrow)
    }
  }

  /** Adds many values, which is faster than one after the other. */
  append(values: Float64Array): void {
    for (let first = 0; first < values.length; ) {
      const offset = this.length & blockMask
      const part = values.subarray(first, first + blockRows - offset)
      this.#appendPart(part, this.length >>> blockBits, offset)
      first += part.length
      this.length += part.length
    }
  }

  #appendPart(part: Float64Array, block: number, offset: number): void {
    if (offset === 0) {
      this.#width = 0
      this.#blocks.push(allocate(this.#widths[0]!, blockRows))
    }
    const stored = new Float64Array(part.length)
    for (;;) {
      const numbers = this.#blocks[block]!
      numbers.set(part, offset)
      if (this.#width === this.#widths.length - 1) return
      stored.set(numbers.subarray(offset, offset + part.length))
      const lost = firstDifference(part, stored)
      if (lost < 0) return
      this.#widen(part[lost]!, block, offset + lost)
    }
  }

  /** Throws an Error for a row that was let go. */
  at(row: number): number {
    const block = row >>> blockBits
    const places = this.#places[block]
    const offset = row & blockMask
    const value = this.#blocks[block]![places === undefined ? offset : places[offset]!]
    if (value === undefined) throw new Error(`row ${row} of a column was let go`)
    return value
  }

  /** Bytes of the rows. */
  get bytes(): number {
    const last = this.#blocks.at(-1)
    if (last === undefined) return 0
    const unused = (this.#blocks.length * blockRows - this.length) * last.BYTES_PER_ELEMENT
    return this.#blocks.reduce((sum, block) => sum + block.byteLength, -unused)
  }

  /** Lets go of a block's rows that are not kept; once per block, of a column that is complete. */
  keep(kept: KeptRows, block: number): void {
    const rows = kept.of(block)
    if (rows === undefined) return
    const whole = this.#blocks[block]!
    const some = allocate(this.#widths.find((width) => whole instanceof width)!, rows.offsets.length)
    for (let i = 0; i < some.length; i++) some[i] = whole[rows.offsets[i]!]!
    free(whole)
    this.#blocks[block] = some
    this.#places[block] = rows.places
  }

  /** Fills an array with as many rows, from `first` on, of a column that has let go of none. */
  copyTo<T extends NumberArray>(target: T, first = 0): T {
    const end = first + target.length
    for (let row = first; row < end; ) {
      const offset = row & blockMask
      const part = this.#blocks[row >>> blockBits]!.subarray(offset, offset + end - row)
      target.set(part, row - first)
      row += part.length
    }
    return target
  }
}

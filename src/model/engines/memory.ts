import type { Clock } from '../../base/clock.ts'
import { ModelError } from '../../base/errors.ts'
import type { Batch, RowBlock, SharedPart, Signature, Slab, TensorData } from '../contracts/engine.ts'

/*
 * Memory that the threads share: requests are encoded straight into it, and a worker reads them there, so that nothing
 * is copied, allocated or collected on the way. The engine takes no shared arrays: each worker copies the rows of a
 * call once, into arrays that it uses again and again.
 */
/** Bytes of a slab, about; a larger request gets one of its own. */
const slabBytes = 1 << 18

/** Slabs that are kept though nothing is in them. */
const spareSlabs = 4

/**
 * How long larger slabs are kept after the last of them was wanted, ms. The system provides 50 MB of new memory in 40
 * ms, and V8 frees memory that threads share only where all of them collect their garbage.
 */
const largeKeptMs = 5000

const bytesPerValue = 4

interface OwnSlab extends Slab {
  views: Record<string, TensorData>
  /** The first row that is free. */
  next: number
  /** Blocks not released. */
  live: number
}

/** Is notified of slabs: workers must know a slab before a call refers to it. */
export interface SlabListener {
  added(slab: Slab): void
  removed(id: number): void
}

/** Timers that don't keep a process alive. */
const backgroundTimers: Clock['after'] = (ms, callback) => {
  const timer = setTimeout(callback, ms).unref()
  return () => clearTimeout(timer)
}

/**
 * Allocates rows of one graph. A slab is used again once all that was in it has been released; those of large requests
 * until none has come for a while.
 */
export class SharedRows {
  readonly #inputs: Signature['inputs']
  readonly #listener: SlabListener
  readonly #slabRows: number
  readonly #slabs = new Map<number, OwnSlab>()
  readonly #after: Clock['after']
  #spare: OwnSlab[] = []
  /** Those of large requests that nothing is in. */
  #large: OwnSlab[] = []
  #cancelDrop: (() => void) | undefined
  #current: OwnSlab | undefined
  #nextId = 0

  constructor(inputs: Signature['inputs'], listener: SlabListener, after = backgroundTimers) {
    this.#inputs = inputs
    this.#listener = listener
    this.#after = after
    const rowBytes = inputs.reduce((sum, { width }) => sum + width * bytesPerValue, 0)
    this.#slabRows = Math.max(256, Math.floor(slabBytes / Math.max(1, rowBytes)))
  }

  /** All there are, for a worker that is new. */
  slabs(): Slab[] {
    return [...this.#slabs.values()].map(({ id, rows, buffer }) => ({ id, rows, buffer }))
  }

  allocate(rows: number): RowBlock {
    const slab = this.#slabFor(rows)
    const start = slab.next
    slab.next += rows
    slab.live++
    const inputs: Record<string, TensorData> = {}
    for (const { name, width } of this.#inputs)
      inputs[name] = slab.views[name]!.subarray(start * width, (start + rows) * width)
    let released = false
    return {
      inputs,
      part: { slab: slab.id, start, count: rows },
      release: () => {
        if (!released) this.#release(slab)
        released = true
      },
    }
  }

  #slabFor(rows: number): OwnSlab {
    if (rows > this.#slabRows) return this.#largeFor(rows)
    const current = this.#current
    if (current && current.next + rows <= current.rows) return current
    this.#current = this.#spare.pop() ?? this.#create(this.#slabRows)
    return this.#current
  }

  /** The smallest free one that is large enough, or a new one in place of the largest that is not. */
  #largeFor(rows: number): OwnSlab {
    this.#large.sort((a, b) => a.rows - b.rows)
    const at = this.#large.findIndex((slab) => slab.rows >= rows)
    if (at >= 0) return this.#large.splice(at, 1)[0]!
    const small = this.#large.pop()
    if (small !== undefined) this.#remove(small)
    return this.#create(rows)
  }

  #keepLarge(slab: OwnSlab): void {
    this.#large.push(slab)
    this.#cancelDrop?.()
    this.#cancelDrop = this.#after(largeKeptMs, () => {
      for (const slab of this.#large.splice(0)) this.#remove(slab)
    })
  }

  #remove({ id }: OwnSlab): void {
    this.#slabs.delete(id)
    this.#listener.removed(id)
  }

  #create(rows: number): OwnSlab {
    const width = this.#inputs.reduce((sum, input) => sum + input.width, 0)
    const buffer = new SharedArrayBuffer(Math.max(1, rows * width) * bytesPerValue)
    const slab = { id: this.#nextId++, rows, buffer, views: viewsOf(buffer, rows, this.#inputs), next: 0, live: 0 }
    this.#slabs.set(slab.id, slab)
    this.#listener.added({ id: slab.id, rows, buffer })
    return slab
  }

  #release(slab: OwnSlab): void {
    if (--slab.live > 0) return
    slab.next = 0
    if (slab === this.#current) return
    if (slab.rows > this.#slabRows) this.#keepLarge(slab)
    else if (this.#spare.length < spareSlabs) this.#spare.push(slab)
    else this.#remove(slab)
  }
}

/** Copies rows out of slabs into arrays that the engine takes; these live until the next call. */
export class RowGatherer {
  readonly #inputs: Signature['inputs']
  readonly #slabs = new Map<number, Record<string, TensorData>>()
  readonly #arrays = new Map<string, TensorData>()

  constructor(inputs: Signature['inputs']) {
    this.#inputs = inputs
  }

  add({ id, rows, buffer }: Slab): void {
    this.#slabs.set(id, viewsOf(buffer, rows, this.#inputs))
  }

  /** Bytes of the slab, which V8 frees once it collects the garbage of all threads. */
  remove(id: number): number {
    const [view] = Object.values(this.#slabs.get(id) ?? {})
    this.#slabs.delete(id)
    return view?.buffer.byteLength ?? 0
  }

  gather(parts: readonly SharedPart[], about: Pick<Batch, 'tenants' | 'alike'> = {}): Batch {
    const rows = parts.reduce((sum, { count }) => sum + count, 0)
    const inputs: Record<string, TensorData> = {}
    for (const { name, dtype, width } of this.#inputs) {
      let array = this.#arrays.get(name)
      if (array === undefined || array.length < rows * width) {
        array = dtype === 'int32' ? new Int32Array(2 * rows * width) : new Float32Array(2 * rows * width)
        this.#arrays.set(name, array)
      }
      let to = 0
      for (const { slab, start, count } of parts) {
        const from = this.#slabs.get(slab)
        if (from === undefined) throw new Error(`there is no shared memory ${slab}`)
        array.set(from[name]!.subarray(start * width, (start + count) * width), to)
        to += count * width
      }
      inputs[name] = array.subarray(0, to)
    }
    return { rows, inputs, requests: parts.map(({ count }) => count), ...about }
  }
}

function viewsOf(buffer: SharedArrayBuffer, rows: number, inputs: Signature['inputs']): Record<string, TensorData> {
  const views: Record<string, TensorData> = {}
  let offset = 0
  for (const { name, dtype, width } of inputs) {
    const length = rows * width
    views[name] = dtype === 'int32' ? new Int32Array(buffer, offset, length) : new Float32Array(buffer, offset, length)
    offset += length * bytesPerValue
  }
  return views
}

/** The batch's values of one input; MODEL_FAILED where they are missing or of another size. */
export function valuesOf(
  batch: Batch,
  { name, width }: Pick<Signature['inputs'][number], 'name' | 'width'>,
): TensorData {
  const values = batch.inputs[name]
  if (values === undefined) throw new ModelError('MODEL_FAILED', `the input ${name} is missing`)
  if (values.length !== batch.rows * width)
    throw new ModelError(
      'MODEL_FAILED',
      `the input ${name} holds ${values.length} values; ${batch.rows} rows of ${width} are ${batch.rows * width}`,
    )
  return values
}

/** MODEL_FAILED where an input of integers is given floats. */
export function refuseFloats(name: string, values: TensorData): void {
  if (values instanceof Float32Array)
    throw new ModelError('MODEL_FAILED', `the input ${name} takes int32 values, not float32`)
}

/** MODEL_FAILED where ids, rows of a table, are negative. */
export function refuseNegative(name: string, ids: TensorData): void {
  // All ids together are checked first: their sign bits decide the usual case.
  if (ids instanceof Int32Array) {
    let bits = 0
    for (let i = 0; i < ids.length; i++) bits |= ids[i]!
    if (bits >= 0) return
  }
  for (let i = 0; i < ids.length; i++)
    if (ids[i]! < 0) throw new ModelError('MODEL_FAILED', `the input ${name} holds the id ${ids[i]}`)
}

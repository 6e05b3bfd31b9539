import type { Batch, Outputs, SharedPart, TensorData } from '../../contracts/engine.ts'

/** `count` rows of a request, from row `start`. */
export interface BatchSlice {
  batch: Batch
  start: number
  count: number
}

/**
 * One batch of the rows of all slices, in order. A single complete request is not copied, nor are rows in shared
 * memory.
 */
export function concatenate(slices: readonly BatchSlice[]): Batch {
  const [first] = slices
  if (first === undefined) return { rows: 0, inputs: {} }
  if (slices.length === 1 && first.count === first.batch.rows) return first.batch
  const rows = slices.reduce((sum, slice) => sum + slice.count, 0)
  const requests = slices.map(({ count }) => count)
  const shared = sharedRows(slices)
  const about = { requests, tenants: ofEach(slices, ({ tenants }) => tenants), alike: ofEach(slices, alikeIn) }
  if (shared === undefined) return { rows, inputs: concatenateInputs(slices, first, rows), ...about }
  return {
    rows,
    ...about,
    shared,
    get inputs() {
      return concatenateInputs(slices, first, rows)
    },
  }
}

const alikeIn = ({ alike }: Batch) => alike

/** A property of the request that each slice is of; undefined where none has it. */
function ofEach<T>(
  slices: readonly BatchSlice[],
  read: (batch: Batch) => readonly T[] | undefined,
): (T | undefined)[] | undefined {
  return slices.every(({ batch }) => read(batch) === undefined)
    ? undefined
    : slices.map(({ batch }) => read(batch)?.[0])
}

/** The location of the rows, if all of them are in shared memory. */
function sharedRows(slices: readonly BatchSlice[]): SharedPart[] | undefined {
  const shared: SharedPart[] = []
  for (const { batch, start, count } of slices) {
    if (batch.shared?.length !== 1) return undefined
    const [{ slab, start: first }] = batch.shared as [SharedPart]
    shared.push({ slab, start: first + start, count })
  }
  return shared
}

function concatenateInputs(slices: readonly BatchSlice[], first: BatchSlice, rows: number): Record<string, TensorData> {
  const inputs: Record<string, TensorData> = {}
  for (const [name, like] of Object.entries(first.batch.inputs)) {
    const width = like.length / first.batch.rows
    const data = like instanceof Int32Array ? new Int32Array(rows * width) : new Float32Array(rows * width)
    let row = 0
    for (const { batch, start, count } of slices) {
      const own = batch.inputs[name]
      if (own === undefined) throw new Error(`a request has no input ${name}`)
      data.set(own.subarray(start * width, (start + count) * width), row * width)
      row += count
    }
    inputs[name] = data
  }
  return inputs
}

/** Rows `start` … `start + count` of the `wanted` outputs of a call over `rows` rows; views, not copies. */
export function slice(
  outputs: Outputs,
  wanted: readonly string[],
  rows: number,
  start: number,
  count: number,
): Outputs {
  const sliced: Outputs = {}
  for (const name of wanted) {
    const data = outputs[name]
    if (data === undefined || data.length % rows !== 0)
      throw new Error(`the engine returned no output ${name} for ${rows} rows`)
    const width = data.length / rows
    sliced[name] = count === rows ? data : data.subarray(start * width, (start + count) * width)
  }
  return sliced
}

/** Copies the outputs of `count` rows into the outputs of a request of `rows` rows, which are created if undefined. */
export function place(into: Outputs | undefined, part: Outputs, rows: number, start: number, count: number): Outputs {
  const all = into ?? {}
  for (const [name, data] of Object.entries(part)) {
    const width = data.length / count
    all[name] ??= new Float32Array(rows * width)
    all[name].set(data, start * width)
  }
  return all
}

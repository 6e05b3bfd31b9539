import type { Batch, Outputs, SharedPart, TensorData } from '../contracts/engine.ts'

/** Some rows of a request: `count` of them from row `start`. */
export interface BatchSlice {
  batch: Batch
  start: number
  count: number
}

/** One batch of all parts' rows, in order. Nothing is copied of a single whole request, nor of rows in shared memory. */
export function join(parts: readonly BatchSlice[]): Batch {
  const [first] = parts
  if (first === undefined) return { rows: 0, inputs: {} }
  if (parts.length === 1 && first.count === first.batch.rows) return first.batch
  const rows = parts.reduce((sum, part) => sum + part.count, 0)
  const requests = parts.map(({ count }) => count)
  const shared = sharedParts(parts)
  if (shared === undefined) return { rows, inputs: joinInputs(parts, first, rows), requests }
  return {
    rows,
    requests,
    shared,
    get inputs() {
      return joinInputs(parts, first, rows)
    },
  }
}

/** Where the rows are, if all of them are in shared memory. */
function sharedParts(parts: readonly BatchSlice[]): SharedPart[] | undefined {
  const shared: SharedPart[] = []
  for (const { batch, start, count } of parts) {
    if (batch.shared?.length !== 1) return undefined
    const [{ slab, start: first }] = batch.shared as [SharedPart]
    shared.push({ slab, start: first + start, count })
  }
  return shared
}

function joinInputs(parts: readonly BatchSlice[], first: BatchSlice, rows: number): Record<string, TensorData> {
  const inputs: Record<string, TensorData> = {}
  for (const [name, like] of Object.entries(first.batch.inputs)) {
    const width = like.length / first.batch.rows
    const joined = like instanceof Int32Array ? new Int32Array(rows * width) : new Float32Array(rows * width)
    let row = 0
    for (const { batch, start, count } of parts) {
      const data = batch.inputs[name]
      if (data === undefined) throw new Error(`a request has no input ${name}`)
      joined.set(data.subarray(start * width, (start + count) * width), row * width)
      row += count
    }
    inputs[name] = joined
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
      throw new Error(`the engine answered no ${name} of ${rows} rows`)
    const width = data.length / rows
    sliced[name] = count === rows ? data : data.subarray(start * width, (start + count) * width)
  }
  return sliced
}

/** Puts `count` rows' outputs in their place among a request's `rows`; `into` is made at the first. */
export function place(into: Outputs | undefined, part: Outputs, rows: number, start: number, count: number): Outputs {
  const whole = into ?? {}
  for (const [name, data] of Object.entries(part)) {
    const width = data.length / count
    whole[name] ??= new Float32Array(rows * width)
    whole[name].set(data, start * width)
  }
  return whole
}

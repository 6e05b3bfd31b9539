import type { Side } from '../model/compile/sides/contract.ts'
import type { Batch, TensorData } from '../model/contracts/engine.ts'
/** Makes up a value of a column; `random` is uniform over [0, 1). */
export type Draw = (random: () => number) => number

/** Any of these ids. */
export function idDraw(offset: number, ids: number): Draw {
  return (random) => offset + Math.floor(random() * ids)
}

/** One of these values. */
export function sampleDraw(values: Float64Array): Draw {
  return (random) => values[Math.floor(random() * values.length)]!
}

/** Rows of every input, each value for itself: row-major. */
export function drawRows(inputs: TargetInput[], rows: number, random: () => number): Record<string, TensorData> {
  const drawn: Record<string, TensorData> = {}
  for (const { name, dtype, draws } of inputs) {
    const data = dtype === 'int32' ? new Int32Array(rows * draws.length) : new Float32Array(rows * draws.length)
    for (let row = 0; row < rows; row++)
      draws.forEach((draw, column) => {
        data[row * draws.length + column] = draw(random)
      })
    drawn[name] = data
  }
  return drawn
}

/** Writes one request's context into all of its rows. */
function shareContext(inputs: TargetInput[], batch: Batch, start: number, count: number): void {
  for (const { name, sides } of inputs) {
    const data = batch.inputs[name]!
    const width = sides.length
    sides.forEach((side, column) => {
      if (side !== 'context') return
      for (let row = start + 1; row < start + count; row++) data[row * width + column] = data[start * width + column]!
    })
  }
}

/** A batch of `requests` requests of `rows` rows: each with one context, unless `contextByRow`. */
export function drawBatch(
  inputs: TargetInput[],
  shape: { rows: number; requests: number },
  random: () => number,
  contextByRow = false,
): Batch {
  const total = shape.rows * shape.requests
  const batch: Batch = {
    rows: total,
    requests: new Array<number>(shape.requests).fill(shape.rows),
    inputs: drawRows(inputs, total, random),
  }
  if (!contextByRow)
    for (let start = 0; start < total; start += shape.rows) shareContext(inputs, batch, start, shape.rows)
  return batch
}

/** The same batch with other values in the columns of these sides. */
export function redraw(
  inputs: TargetInput[],
  batch: Batch,
  shape: { rows: number; requests: number },
  wanted: readonly Side[],
  random: () => number,
): Batch {
  const other = drawBatch(inputs, shape, random)
  for (const { name, sides } of inputs) {
    const [from, to] = [batch.inputs[name]!, other.inputs[name]!]
    const width = sides.length
    for (let row = 0; row < batch.rows; row++)
      sides.forEach((side, column) => {
        if (!wanted.includes(side)) to[row * width + column] = from[row * width + column]!
      })
  }
  return other
}
export interface TargetInput {
  name: string
  dtype: 'int32' | 'float32'
  /** By column. */
  sides: Side[]
  draws: Draw[]
}

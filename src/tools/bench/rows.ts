import { valueFor } from '../../base/maps.ts'
import type { Batch, TensorData } from '../../model/contracts/engine.ts'
import type { Side } from '../../model/graph/sides/split-graphs.ts'

/** Draws a value of a column; `random` is uniform over [0, 1). */
export type Draw = (random: () => number) => number

/** Draws one of `ids` ids from `offset`. */
export function idDraw(offset: number, ids: number): Draw {
  return (random) => offset + Math.floor(random() * ids)
}

/** Draws one of these values. */
export function sampleDraw(values: Float64Array): Draw {
  return (random) => values[Math.floor(random() * values.length)]!
}

/** Rows per request, and requests per call; values of each list, by default any number of at least 1. */
export interface Shape {
  rows: number
  requests: number
  listValues?: number | undefined
}

/** Draws rows of every input, each value independently, and how long its lists are; row-major. */
export function drawRows(
  inputs: TargetInput[],
  rows: number,
  random: () => number,
  listValues?: number,
): Record<string, TensorData> {
  const drawn: Record<string, TensorData> = {}
  const lengths = new Map<object, number[]>()
  for (const { name, dtype, draws, lists = [] } of inputs) {
    const data = dtype === 'int32' ? new Int32Array(rows * draws.length) : new Float32Array(rows * draws.length)
    for (let row = 0; row < rows; row++)
      draws.forEach((draw, column) => {
        data[row * draws.length + column] = draw(random)
      })
    for (const list of lists) {
      const { width, sequence } = list
      const own = valueFor(lengths, sequence, () =>
        Array.from({ length: rows }, () => Math.min(width, listValues ?? 1 + Math.floor(random() * width))),
      )
      for (let row = 0; row < rows; row++) setLength(data, row * draws.length, list, own[row]!)
    }
    drawn[name] = data
  }
  return drawn
}

/** Puts padding behind the first values of a list, and in their place values that are none. */
function setLength(data: TensorData, row: number, { column, width, padding }: ListColumns, length: number): void {
  const first = row + column
  for (let i = first; i < first + length; i++) if (data[i] === padding) data[i] = padding === 0 ? 1 : padding - 1
  data.fill(padding, first + length, first + width)
}

/** Copies the context of a request's first row to its other rows. */
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

/** Draws a batch of `requests` requests with `rows` rows, each with one context unless `contextPerRow`. */
export function drawBatch(inputs: TargetInput[], shape: Shape, random: () => number, contextPerRow = false): Batch {
  const total = shape.rows * shape.requests
  const batch: Batch = {
    rows: total,
    requests: new Array<number>(shape.requests).fill(shape.rows),
    inputs: drawRows(inputs, total, random, shape.listValues),
  }
  if (contextPerRow) return batch
  for (let start = 0; start < total; start += shape.rows) shareContext(inputs, batch, start, shape.rows)
  // A service knows that a request has one context, too: nothing compares its rows.
  return { ...batch, alike: new Array<boolean>(shape.requests).fill(true) }
}

/** A copy of the batch with other values in the columns of these sides. */
export function redraw(
  inputs: TargetInput[],
  batch: Batch,
  shape: Shape,
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
  /** One per column. */
  sides: Side[]
  draws: Draw[]
  /** Columns that are a list: those behind its values hold padding. */
  lists?: ListColumns[]
}

/** Lists with the same `sequence` are equally long. */
export interface ListColumns {
  column: number
  width: number
  padding: number
  sequence: object
}

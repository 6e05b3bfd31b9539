import type ort from 'onnxruntime-node'
import { product } from '../../../base/arrays.ts'
import { onnxruntime } from '../../../base/onnxruntime.ts'
import type { Table, TrainingStep } from '../network/training-step.ts'
import type { RowDecay } from './row-decay.ts'
import type { TableMemory } from './table-updates.ts'

/** Looks up rows of tables for a batch, in memory that the next batch reuses. */
export class RowReader {
  readonly #plan: TrainingStep
  readonly #tables: readonly TableMemory[]
  readonly #indexes: ((inputs: Tensors) => Promise<Tensors>) | undefined
  /** Ids of a row of the batch, per look-up. */
  readonly perRow: number[]
  readonly widths: number[]
  readonly #rows: Float32Array[]
  readonly #decays: readonly (RowDecay | undefined)[]
  readonly #alone: boolean

  /**
   * `most`: rows of the largest batch; `indexes`: computes the plan's graph of indexes; `decays`: per table, the
   * penalty that its rows wait for; `alone`: no other thread reads them.
   */
  constructor(
    plan: TrainingStep,
    tables: readonly TableMemory[],
    indexes: ((inputs: Tensors) => Promise<Tensors>) | undefined,
    most: number,
    decays: readonly (RowDecay | undefined)[] = [],
    alone = false,
  ) {
    this.#plan = plan
    this.#tables = tables
    this.#indexes = indexes
    this.#decays = decays
    this.#alone = alone
    this.perRow = plan.lookUps.map(({ dims }) => product(dims))
    this.widths = plan.lookUps.map(({ table }) => plan.tables[table]!.width)
    this.#rows = this.perRow.map((count, i) => new Float32Array(most * count * this.widths[i]!))
  }

  /** The rows' numbers, per look-up. */
  async idsOf(inputs: Tensors): Promise<Int32Array[]> {
    const { lookUps } = this.#plan
    if (lookUps.length === 0) return []
    const computed = (await this.#indexes?.(inputs)) ?? {}
    return lookUps.map(({ indexes: name }) => toInt32((computed[name] ?? inputs[name]!).data))
  }

  /** The graphs' inputs: [rows, …dims, width] per look-up. */
  read(rows: number, ids: readonly Int32Array[]): Tensors {
    const read: Tensors = {}
    this.#plan.lookUps.forEach(({ input, table, dims, padding }, i) => {
      const width = this.widths[i]!
      const values = this.#rows[i]!.subarray(0, ids[i]!.length * width)
      expectRows(ids[i]!, this.#plan.tables[table]!)
      const decay = this.#decays[table]
      if (this.#alone && decay) for (const id of ids[i]!) if (id !== padding) decay.settle(id)
      copyRows(this.#tables[table]!.values, width, ids[i]!, values, padding)
      if (!this.#alone) decay?.decay(ids[i]!, values)
      read[input] = tensor(values, [rows, ...dims, width])
    })
    return read
  }
}

/** Throws an Error naming the table where an id has no row. */
function expectRows(ids: Int32Array, { name, rows }: Table): void {
  for (let i = 0; i < ids.length; i++)
    if (ids[i]! < 0 || ids[i]! >= rows) throw new Error(`the table ${name} has ${rows} rows, and none of id ${ids[i]}`)
}

/** Rows of a table [ids, width]; zeros in place of that of padding. */
function copyRows(
  table: Float32Array,
  width: number,
  ids: Int32Array,
  out: Float32Array,
  padding: number | undefined,
): void {
  for (let i = 0; i < ids.length; i++) {
    const from = ids[i]! * width
    const to = i * width
    if (ids[i] === padding) {
      for (let j = 0; j < width; j++) out[to + j] = 0
      continue
    }
    for (let j = 0; j < width; j++) out[to + j] = table[from + j]!
  }
}

function toInt32(data: ort.Tensor['data']): Int32Array {
  return data instanceof Int32Array ? data : Int32Array.from(data as BigInt64Array, Number)
}

export type Tensors = Record<string, ort.Tensor>

/** A tensor that shares the memory of `data`, which must not be shared between threads. */
export const tensor = (data: Float32Array | Int32Array, dims: readonly number[]): ort.Tensor =>
  data instanceof Int32Array
    ? new onnxruntime.Tensor('int32', data, dims)
    : new onnxruntime.Tensor('float32', data, dims)

/** Calls on one thread: threads of training are threads already. */
export const sessionOptions: ort.InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
}

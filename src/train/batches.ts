import type { EncodedRows } from '../data/encode-rows.ts'
import type { Random } from '../data/random.ts'
import type { TrainTask } from '../schemas/train-spec.ts'

/** Encoded rows with their labels: per task, per row 1, 0, or −1 outside the task's sample space. */
export interface Examples {
  encoded: EncodedRows
  labels: Int8Array[]
  /** Per row its weight; undefined: each weighs 1. */
  weights?: Float32Array | undefined
}

/** One step's rows, in arrays that the next step reuses. */
export interface TrainBatch {
  rows: number
  /** int32 [rows, sparse fields] */
  sparse: Int32Array
  /** float32 [rows, dense fields] */
  dense: Float32Array
  /** float32 [rows, tasks]; 0 outside the sample space. */
  labels: Float32Array
  /** float32 [rows, tasks]: weight_t · the row's weight ÷ Σ weight of the batch's rows in task t's sample space; 0 outside. */
  coefficients: Float32Array
}

/**
 * Divides `rows` rows into batches. A last batch of one row joins the previous one: batch normalisation can't learn a variance
 * from a single row.
 */
export function batchBounds(rows: number, batchSize: number): { start: number; end: number }[] {
  const bounds: { start: number; end: number }[] = []
  for (let start = 0; start < rows; start += batchSize) bounds.push({ start, end: Math.min(rows, start + batchSize) })
  const last = bounds.at(-1)
  if (bounds.length > 1 && last && last.end - last.start < 2) {
    bounds.pop()
    bounds.at(-1)!.end = rows
  }
  return bounds
}

/** Makes a share of the known values unknown, so that a network learns what to answer then. */
export interface Masking {
  /** Share of the values, 0 to 1. */
  share: number
  /** Per sparse field the id of unknown values; −1 where it has none. */
  unknown: Int32Array
  random: Random
}

function mask({ share, unknown, random }: Masking, sparse: Int32Array, start: number): void {
  for (let field = 0; field < unknown.length; field++)
    if (unknown[field]! >= 0 && random.uniform() < share) sparse[start + field] = unknown[field]!
}

/**
 * Gathers rows of `examples` by index; the result is valid until the next call. `largest`: most rows per call; `masking`: undefined
 * leaves all values unchanged.
 */
export function createGather(
  { encoded, labels, weights }: Examples,
  tasks: readonly Pick<TrainTask, 'weight'>[],
  largest: number,
  masking?: Masking,
): (order: Int32Array, start: number, end: number) => TrainBatch {
  const { sparseFields, denseFields } = encoded
  const sparse = new Int32Array(largest * sparseFields)
  const dense = new Float32Array(largest * denseFields)
  const targets = new Float32Array(largest * tasks.length)
  const coefficients = new Float32Array(largest * tasks.length)
  return (order, start, end) => {
    const rows = end - start
    for (let i = 0; i < rows; i++) {
      const row = order[start + i]!
      for (let f = 0; f < sparseFields; f++) sparse[i * sparseFields + f] = encoded.sparse[row * sparseFields + f]!
      if (masking) mask(masking, sparse, i * sparseFields)
      for (let f = 0; f < denseFields; f++) dense[i * denseFields + f] = encoded.dense[row * denseFields + f]!
    }
    tasks.forEach(({ weight }, task) => {
      const values = labels[task]!
      let inside = 0
      for (let i = start; i < end; i++) if (values[order[i]!]! >= 0) inside += weights?.[order[i]!] ?? 1
      for (let i = 0; i < rows; i++) {
        const label = values[order[start + i]!]!
        targets[i * tasks.length + task] = label > 0 ? 1 : 0
        coefficients[i * tasks.length + task] =
          label < 0 || inside === 0 ? 0 : (weight * (weights?.[order[start + i]!] ?? 1)) / inside
      }
    })
    return {
      rows,
      sparse: sparse.subarray(0, rows * sparseFields),
      dense: dense.subarray(0, rows * denseFields),
      labels: targets.subarray(0, rows * tasks.length),
      coefficients: coefficients.subarray(0, rows * tasks.length),
    }
  }
}

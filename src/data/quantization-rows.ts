import type { QuantizationRows } from '../model/bundle/quantization.ts'
import type { EncodedRows } from './encode-rows.ts'

export const quantizationFile = 'quantization.bin'

/** Most rows, unless another number is asked for: half of them set int8's scales, half measure its loss. */
export const usualQuantizationRows = 4096

/**
 * Chooses rows for int8 from rows with labels that were not trained on, such as the validation rows. They are spread evenly, not by
 * class, so that they represent traffic. Every second row goes to the second half, so that both halves are alike even if the data
 * changes with its order. `labels`: per task, per row 1, 0, or −1 outside the task's sample space.
 */
export function chooseQuantizationRows(
  { encoded, labels }: { encoded: EncodedRows; labels: readonly ArrayLike<number>[] },
  mostRows = usualQuantizationRows,
): QuantizationRows {
  const { sparse, dense, sparseFields, denseFields } = encoded
  const chosen = interleaved(spread(encoded.rows, Math.min(mostRows, encoded.rows)))
  const rows: QuantizationRows & { labels: Float32Array } = {
    rows: chosen.length,
    sparse: new Int32Array(chosen.length * sparseFields),
    dense: new Float32Array(chosen.length * denseFields),
    labels: new Float32Array(chosen.length * labels.length),
  }
  chosen.forEach((row, i) => {
    rows.sparse.set(sparse.subarray(row * sparseFields, (row + 1) * sparseFields), i * sparseFields)
    rows.dense.set(dense.subarray(row * denseFields, (row + 1) * denseFields), i * denseFields)
    labels.forEach((values, task) => {
      const label = values[row]!
      rows.labels[i * labels.length + task] = label < 0 ? Number.NaN : label
    })
  })
  return rows
}

/** `count` of the numbers below `rows`, increasing. */
function spread(rows: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor((i * rows) / count))
}

/** Elements with even indexes, then those with odd indexes. */
function interleaved(numbers: readonly number[]): number[] {
  return [...numbers.filter((_, i) => i % 2 === 0), ...numbers.filter((_, i) => i % 2 === 1)]
}

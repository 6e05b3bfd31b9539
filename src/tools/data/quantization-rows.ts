import { createUniform } from '../../base/hash.ts'
import type { QuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { EncodedRows } from './packed-rows.ts'
import { type PackedRows, unpackRows } from './packed-rows.ts'

export const quantizationFile = 'quantization.bin'

/** Most rows, unless another number is asked for: half of them set int8's scales, half measure its loss. */
export const usualQuantizationRows = 4096

/** Encoded rows; per task, per row 1, 0, or −1 outside the task's sample space. */
export interface LabelledRows {
  encoded: EncodedRows
  labels: readonly ArrayLike<number>[]
}

/**
 * Chooses rows for int8 from rows with labels that were not trained on, such as the validation rows: at most
 * `usualQuantizationRows`, as `chooseRows` does.
 */
export function chooseQuantizationRows({
  encoded,
  labels,
}: Pick<LabelledRows, 'labels'> & { encoded: PackedRows }): QuantizationRows {
  const chosen = chooseRows(encoded.rows, usualQuantizationRows)
  return toQuantizationRows({
    encoded: unpackRows(encoded, chosen),
    labels: labels.map((values) => Int8Array.from(chosen, (row) => values[row]!)),
  })
}

/**
 * At most `most` of `rows` rows. They are spread evenly, not by class, so that they represent traffic: one of each
 * stretch of the data, drawn with a fixed seed, as rows may repeat in their order. Two neighbours go to different
 * halves, so that both halves are alike even if the data changes with its order.
 */
export function chooseRows(rows: number, most: number): number[] {
  const random = createUniform(1)
  const count = Math.min(most, rows)
  const startOf = (i: number) => Math.floor((i * rows) / count)
  const chosen = Array.from(
    { length: count },
    (_, i) => startOf(i) + Math.floor(random() * (startOf(i + 1) - startOf(i))),
  )
  const halves: [number[], number[]] = [[], []]
  for (let i = 0; i < count; i += 2) {
    const swapped = i + 1 < count && random() < 0.5
    halves[0].push(chosen[swapped ? i + 1 : i]!)
    if (i + 1 < count) halves[1].push(chosen[swapped ? i : i + 1]!)
  }
  return halves.flat()
}

/** Rows as a version stores them. */
export function toQuantizationRows({ encoded, labels }: LabelledRows): QuantizationRows {
  const { rows, sparse, dense } = encoded
  return {
    rows,
    sparse,
    dense,
    labels: Float32Array.from({ length: rows * labels.length }, (_, i) => {
      const label = labels[i % labels.length]![Math.floor(i / labels.length)]!
      return label < 0 ? Number.NaN : label
    }),
  }
}

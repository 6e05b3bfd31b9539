import type { Items } from '../network/training-step.ts'

/** The places of values among those of a list, [rows · max]; of no value, the first place. */
export function placesOf(
  sparse: Int32Array,
  rows: number,
  sparseFields: number,
  { column, max, padding }: Omit<Items, 'name'>,
): Int32Array {
  const places = new Int32Array(rows * max)
  let count = 0
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < max; i++)
      if (sparse[row * sparseFields + column + i] !== padding) places[count++] = row * max + i
  return places.subarray(0, Math.max(1, count))
}

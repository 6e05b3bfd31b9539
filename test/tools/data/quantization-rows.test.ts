import t from 'tap'
import { chooseQuantizationRows, chooseRows } from '../../../src/tools/data/quantization-rows.ts'
import type { Examples } from '../../../src/tools/train/terms.ts'
import { fc, randomCases } from '../../support/cases.ts'

/** Rows that can be told apart: row r has the ids 2r and 2r + 1, the number −r, and labels of three kinds. */
function examplesOf(rows: number): Examples {
  return {
    encoded: {
      rows,
      sparse: Int32Array.from({ length: rows * 2 }, (_, i) => i),
      dense: Float32Array.from({ length: rows }, (_, row) => -row),
      sparseFields: 2,
      denseFields: 1,
    },
    labels: [
      Int8Array.from({ length: rows }, (_, row) => row % 2),
      Int8Array.from({ length: rows }, (_, row) => (row % 2 ? (row >> 1) % 2 : -1)),
    ],
  }
}

/** Numbers of the rows chosen. */
const chosenOf = (rows: number) => Array.from(chooseQuantizationRows(examplesOf(rows)).dense, (value) => 0 - value)

t.test('all rows where there are few, with their ids, numbers and labels', async (t) => {
  const chosen = chosenOf(5)
  t.same(chosen.toSorted(), [0, 1, 2, 3, 4])
  t.same(chooseQuantizationRows(examplesOf(5)), {
    rows: 5,
    sparse: Int32Array.from(chosen.flatMap((row) => [2 * row, 2 * row + 1])),
    dense: Float32Array.from(chosen, (row) => -row),
    labels: Float32Array.from(chosen.flatMap((row) => [row % 2, row % 2 ? (row >> 1) % 2 : Number.NaN])),
  })
  t.same(chosenOf(1), [0])
  t.equal(new Set(chosenOf(4096)).size, 4096)
  t.same(chosenOf(300), chosenOf(300), 'the same each time')
})

t.test('of any number of rows one of each stretch is chosen, and of two neighbours one for each half', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 5000 }), (rows, most) => {
      const chosen = chooseRows(rows, most)
      const count = Math.min(most, rows)
      const half = Math.ceil(count / 2)
      const pairs = Array.from({ length: half }, (_, i) => [chosen[i]!, chosen[half + i] ?? chosen[i]!])
      const sorted = chosen.toSorted((a, b) => a - b)
      const startOf = (i: number) => Math.floor((i * rows) / count)
      return (
        chosen.length === count &&
        sorted.every((row, i) => startOf(i) <= row && row < startOf(i + 1)) &&
        pairs.every((pair, i) => [2 * i, Math.min(2 * i + 1, count - 1)].every((at) => pair.includes(sorted[at]!)))
      )
    }),
    { numRuns: randomCases(50) },
  )
})

t.test('rows whose labels alternate leave both halves with both classes', async (t) => {
  for (const rows of [4096, 8192, 16_384]) {
    const { labels } = chooseQuantizationRows(examplesOf(rows))
    const positives = (from: number) => {
      let sum = 0
      for (let row = from; row < from + 2048; row++) sum += labels![2 * row]!
      return sum
    }
    for (const sum of [positives(0), positives(2048)]) t.ok(sum > 800 && sum < 1250, `${sum} of 2048`)
  }
})

t.test('rows without sparse or without numeric fields', async (t) => {
  const { encoded, labels } = examplesOf(3)
  const ids = { ...encoded, dense: new Float32Array(), denseFields: 0 }
  const numbers = { ...encoded, sparse: new Int32Array(), sparseFields: 0 }
  t.match(chooseQuantizationRows({ encoded: ids, labels }), { rows: 3, dense: new Float32Array() })
  t.same(chooseQuantizationRows({ encoded: numbers, labels }).dense.toSorted(), Float32Array.of(-2, -1, -0))
})

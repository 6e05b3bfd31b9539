import fc from 'fast-check'
import t from 'tap'
import { chooseQuantizationRows } from '../../src/data/quantization-rows.ts'
import type { Examples } from '../../src/train/examples.ts'

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

t.test('all rows where there are few; every second one goes to the second half', async (t) => {
  t.same(chooseQuantizationRows(examplesOf(5)), {
    rows: 5,
    sparse: Int32Array.of(0, 1, 4, 5, 8, 9, 2, 3, 6, 7),
    dense: Float32Array.of(-0, -2, -4, -1, -3),
    labels: Float32Array.of(0, Number.NaN, 0, Number.NaN, 0, Number.NaN, 1, 0, 1, 1),
  })
  t.same(chosenOf(1), [0])
  t.equal(new Set(chosenOf(4096)).size, 4096)
})

t.test('4096 of many, spread evenly over both halves', async (t) => {
  const chosen = chosenOf(50_000)
  t.equal(chosen.length, 4096)
  t.same([chosen[0], chosen[2048]], [0, 12])
  const sorted = chosen.toSorted((a, b) => a - b)
  const gaps = sorted.slice(1).map((row, i) => row - sorted[i]!)
  t.same([Math.min(...gaps), Math.max(...gaps)], [12, 13])
  t.equal(50_000 - sorted.at(-1)!, 13)
})

t.test('of any number of rows each is chosen once at most, and the halves lie side by side', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), (rows) => {
      const chosen = chosenOf(rows)
      const half = Math.ceil(chosen.length / 2)
      const [scales, judges] = [chosen.slice(0, half), chosen.slice(half)]
      return (
        chosen.length === Math.min(4096, rows) &&
        chosen.every((row) => row < rows) &&
        judges.every((row, i) => scales[i]! < row && (i + 1 >= half || row < scales[i + 1]!))
      )
    }),
    { numRuns: 50 },
  )
})

t.test('rows without sparse or without numeric fields', async (t) => {
  const { encoded, labels } = examplesOf(3)
  const ids = { ...encoded, dense: new Float32Array(), denseFields: 0 }
  const numbers = { ...encoded, sparse: new Int32Array(), sparseFields: 0 }
  t.match(chooseQuantizationRows({ encoded: ids, labels }), { rows: 3, dense: new Float32Array() })
  t.same(chooseQuantizationRows({ encoded: numbers, labels }).dense, Float32Array.of(-0, -2, -1))
})

import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { rank } from '../../../src/model/quality/ranking.ts'
import { columnOf, type StringColumn } from '../../../src/tools/data/columns.ts'
import type { Dataset } from '../../../src/tools/data/dataset.ts'
import { judgeSlices, sliceRows } from '../../../src/tools/evaluate/slices.ts'

const rows = 4000
const all = Int32Array.from({ length: rows }, (_, row) => row)
const fields = [
  { name: 'country', side: 'context', kind: 'vocabulary' as const, ids: 9 },
  { name: 'price', side: 'candidate', kind: 'numeric' as const, ids: undefined },
]
const countries = Array.from(all, (row) =>
  row % 100 === 0 ? (row % 200 === 0 ? 'rare' : 'rarer') : ['DE', 'FR', null][row % 3]!,
)
const cells = [columnOf(countries), columnOf(Array.from(all, (row) => row % 10))]
const columns = {
  cells,
  slices: [{ name: 'hour', column: columnOf(Array.from(all, (row) => `h${row % 2}`)) as StringColumn }],
}

/** Half of the rows are positive; French rows are predicted twice too low. */
function sliced(asked: string[] | undefined, unknown = new Map<string, Uint8Array>()) {
  const slicings = sliceRows(asked, fields, columns as unknown as Dataset, all, unknown)
  const labels = Uint8Array.from(all, (row) => Number(row % 7 < 3))
  const predictions = Float64Array.from(all, (row) => (countries[row] === 'FR' ? 0.2 : 0.43))
  const task = {
    ...{ name: 'ctr', positions: all, labels, predictions, weights: undefined, groups: undefined, oracle: undefined },
    buckets: Uint32Array.from(all, (row) => row % 500),
    positives: 0,
  }
  return judgeSlices(task, rank(predictions), slicings, createResampling(500, 100, 1))
}

t.test('worst calibrated first, rare values together, missing ones by themselves', async (t) => {
  const slices = await sliced(['country'])
  t.same(
    slices
      .map(({ field, value, kind, values }) => [field, value, kind, values])
      .filter(([field]) => field === 'country'),
    [
      ['country', 'FR', 'value', 1],
      ...slices
        .slice(1)
        .filter(({ field }) => field === 'country')
        .map(({ field, value, kind, values }) => [field, value, kind, values]),
    ],
  )
  t.match(slices[0], { value: 'FR', metrics: { calibration_ratio: { value: Number } } })
  t.ok(slices[0]!.metrics.calibration_ratio.high! < 0.6)
  const found = slices.filter(({ field }) => field === 'country')
  t.same(found.map(({ value }) => value).sort(), ['DE', 'FR', 'missing', 'others'])
  t.match(
    found.find(({ value }) => value === 'others'),
    { kind: 'others', values: 2, rows: 40 },
  )
  t.equal(
    found.reduce((sum, slice) => sum + slice.rows, 0),
    rows,
  )
  t.same(slices.filter(({ field }) => field === 'hour').length, 2, 'columns that are no fields')
})

t.test('numbers by ranges, unknown values as a slice of every field', async (t) => {
  const ranges = (await sliced(['price'])).filter(({ field }) => field === 'price')
  t.ok(ranges.length >= 4)
  t.ok(ranges.every(({ kind, value }) => kind === 'range' && /[≤>…]/.test(value)))
  const marks = Uint8Array.from(all, (row) => Number(row % 5 === 0))
  const unknown = (await sliced(['price'], new Map([['country', marks]]))).filter(({ field }) => field === 'country')
  t.match(unknown, [{ value: 'unknown', kind: 'unknown', rows: 800 }])
  t.equal(unknown.length, 1)
  t.ok(
    (await sliced(undefined)).some(({ field }) => field === 'country'),
    'fields of few values, where none are named',
  )
})

import t from 'tap'
import { drawRow } from '../../../src/model/serving/features/draw.ts'
import { createEncoder } from '../../../src/model/serving/features/encoder.ts'
import { createLayout } from '../../../src/model/serving/features/layout.ts'
import type { FeatureValue } from '../../../src/schemas/feature-value.ts'
import type { CellColumn } from '../../../src/tools/data/columns.ts'
import { columnOf } from '../../../src/tools/data/columns.ts'
import { encodeRows, encodeStrips } from '../../../src/tools/data/encode-rows.ts'
import { ListColumn } from '../../../src/tools/data/list-column.ts'
import type { Cell } from '../../../src/tools/data/source.ts'
import { fc } from '../../support/cases.ts'
import { logFields } from '../../support/log-fields.ts'

type Row = Record<string, FeatureValue>

const several = ['history', 'ages', 'tags', 'image']

function cellsOf(rows: readonly Row[]): CellColumn[] {
  return logFields.map(({ name }) => {
    const values = rows.map((row) => row[name] ?? null)
    if (!several.includes(name)) return columnOf(values as Cell[])
    const column = new ListColumn(name === 'ages' || name === 'image' ? 'number' : 'string', name === 'tags')
    for (const value of values) column.push(Array.isArray(value) ? { values: value } : (value as never))
    return column
  })
}

const place = (row: number) => `log.parquet row ${row + 1}`
const all = (rows: readonly Row[]) => Int32Array.from(rows, (_, row) => row)

t.test('rows of a file are encoded as those of a request', async () => {
  const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
    minLength: 40,
    maxLength: 60,
  })
  fc.assert(
    fc.property(draws, (numbers) => {
      let next = 0
      const random = () => numbers[next++ % numbers.length]!
      const rows = Array.from({ length: 3 }, () => drawRow(logFields, random))
      rows[1] = { ...rows[1]!, tags: { values: ['x', 'new', 'y'], weights: [1, 2, 0.5] } }
      rows[2] = { ...rows[2]!, tags: null }
      const given = createEncoder(logFields).rows(undefined, rows, { maxRows: 10, partial: false })
      const { encoded, problems } = encodeRows(logFields, cellsOf(rows), all(rows), place)
      return (
        problems.list().length === 0 &&
        given.sparse.every((id, i) => id === encoded.sparse[i]) &&
        given.dense.every((value, i) => value === encoded.dense[i])
      )
    }),
  )
})

const good: Row = { user: 1, history: ['a'], ages: [3], item: 'a', tags: ['x'], image: [1, 2], price: 1 }

t.test('a list that does not fit is named with its row', async (t) => {
  const rows: Row[] = [
    good,
    { ...good, image: [1] },
    { ...good, history: ['a', 'b'] },
    { ...good, ages: [-2] },
    { ...good, image: null },
  ]
  const { problems } = encodeRows(logFields, cellsOf(rows), all(rows), place)
  t.same(problems.list(), [
    { path: '/fields/5', message: 'log.parquet row 2: image has 1 numbers, not 2' },
    {
      path: '/fields/2',
      message: 'log.parquet row 3: ages has 1 values where "history", of the same sequence, has 2',
    },
    { path: '/fields/2', message: 'log.parquet row 4: ages[0] must be greater than −1' },
    { path: '/fields/5', message: 'log.parquet row 5: image is required: the field has no default' },
  ])
})

t.test('strips hold all rows, some at a time', async (t) => {
  const rows = Array.from({ length: 5000 }, (_, i): Row => ({ ...good, user: i % 40 }))
  const layout = createLayout(logFields)
  const lengths: number[] = []
  const users: number[] = []
  for (const strip of encodeStrips(layout, cellsOf(rows), all(rows), place)) {
    lengths.push(strip.rows)
    for (let row = 0; row < strip.rows; row++) users.push(strip.sparse[row * strip.sparseFields]!)
  }
  t.same(lengths, [2048, 2048, 904])
  t.ok(users.every((user, i) => user === 1 + (i % 40)))
})

import t from 'tap'
import { drawRow } from '../../../src/model/serving/features/draw.ts'
import type { FeatureValue } from '../../../src/schemas/feature-value.ts'
import { type CellColumn, columnOf } from '../../../src/tools/data/columns.ts'
import { encodeParts, encodeRows } from '../../../src/tools/data/encode-rows.ts'
import { ListColumn } from '../../../src/tools/data/list-column.ts'
import { arraysOf, numbersOf, unpackRange, unpackRows, unpackStrips } from '../../../src/tools/data/packed-rows.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { type Cell, RowProblems } from '../../../src/tools/data/source.ts'
import { logFields } from '../../support/log-fields.ts'

const several = ['history', 'ages', 'tags', 'image']
const rows = 5000
const place = (row: number) => `row ${row + 1}`

function drawCells(): CellColumn[] {
  const random = createRandom(3)
  const drawn = Array.from({ length: rows }, () => drawRow(logFields, () => random.uniform()))
  return logFields.map(({ name }) => {
    const values = drawn.map((row) => row[name] ?? null) as FeatureValue[]
    if (!several.includes(name)) return columnOf(values as Cell[])
    const column = new ListColumn(name === 'ages' || name === 'image' ? 'number' : 'string', name === 'tags')
    for (const value of values) column.push(Array.isArray(value) ? { values: value } : (value as never))
    return column
  })
}

const range = (from: number, end: number) => Int32Array.from({ length: end - from }, (_, i) => from + i)
const parts = { train: range(0, 3000), validation: range(3000, 4000), test: range(4000, 5000) }
const encode = () =>
  encodeParts(logFields, { cells: drawCells(), parts, place, rows }, [], { problems: new RowProblems() })

t.test('packed rows are the rows with padding, however they are unpacked', async (t) => {
  const packed = encode()
  for (const [part, own] of Object.entries(parts) as [keyof typeof parts, Int32Array][]) {
    const { encoded } = encodeRows(logFields, drawCells(), own, place)
    const { sparse, dense } = unpackRange(packed[part], 0, own.length)
    t.strictSame([sparse, dense], [Int32Array.from(encoded.sparse), Float32Array.from(encoded.dense)], part)
    const strips = [...unpackStrips(packed[part])].map((strip) => strip.rows)
    t.equal(
      strips.reduce((sum, count) => sum + count, 0),
      own.length,
    )
  }
  const some = unpackRows(packed.train, [7, 2999])
  t.strictSame(some.sparse.slice(some.sparseFields), unpackRange(packed.train, 2999, 3000).sparse)
  t.ok(
    arraysOf(packed.train).every(({ buffer }) => buffer instanceof SharedArrayBuffer),
    'threads can share them',
  )
})

t.test('lists take no room for padding, and numbers beside them are found', async (t) => {
  const { train } = encode()
  const { encoded } = encodeRows(logFields, drawCells(), parts.train, place)
  const values = (arrays: { length: number }[]) => arrays.reduce((sum, { length }) => sum + length, 0)
  t.ok(values(arraysOf(train)) < values([encoded.sparse, encoded.dense]))
  const price = encoded.denseFields - 1
  const priceOf = numbersOf(train, price)
  t.ok(parts.train.every((row) => priceOf(row) === encoded.dense[row * encoded.denseFields + price]))
})

import t from 'tap'
import { KeptRows } from '../../../src/base/column-blocks.ts'
import { ListColumn } from '../../../src/tools/data/list-column.ts'
import { fc } from '../../support/cases.ts'

t.test('lists stay as they are, missing ones too', async () => {
  const lists = fc.array(fc.option(fc.array(fc.string({ maxLength: 2 }), { maxLength: 300 })), { maxLength: 20 })
  fc.assert(
    fc.property(lists, (values) => {
      const column = new ListColumn('string', false)
      for (const list of values) column.push(list && { values: list })
      return column.length === values.length && JSON.stringify([...column]) === JSON.stringify(values)
    }),
  )
})

t.test('weights are 1 where a list has none', async (t) => {
  const column = new ListColumn('number', true)
  column.push({ values: [5, 6], weights: [0.5, 2] })
  column.push({ values: [7] })
  t.same(
    [...column],
    [
      { values: [5, 6], weights: [0.5, 2] },
      { values: [7], weights: [1] },
    ],
  )
})

t.test('lists take room for the values that they have', async (t) => {
  const column = new ListColumn('string', false)
  const rows = 100_000
  for (let row = 0; row < rows; row++) column.push({ values: row % 100 === 0 ? Array(50).fill(`v${row % 7}`) : [] })
  // Per row 4 bytes for its place and 1 for its length, per value 1: few are distinct.
  t.equal(column.bytes.rows, 5 * rows + 50 * (rows / 100))
  t.same([column.lengthOf(99_900), column.startOf(99_900)], [50, 49_950])
  column.keep(new KeptRows(Uint8Array.from({ length: rows }, (_, row) => Number(row === 100))), 0)
  t.equal(column.lengthOf(100), 50)
  t.throws(() => column.at(200), /was let go/)
})

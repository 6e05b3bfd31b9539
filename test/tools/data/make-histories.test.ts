import t from 'tap'
import { columnOf, NumberColumn, StringColumn } from '../../../src/tools/data/columns.ts'
import { ListColumn } from '../../../src/tools/data/list-column.ts'
import { expectHistoryMemory, makeHistories } from '../../../src/tools/data/make-histories.ts'
import { fc } from '../../support/cases.ts'

interface Row {
  user: string | null
  time: number
  item: string | null
  age: number | null
  counts: boolean
}

const drawn = fc.array(
  fc.record({
    user: fc.constantFrom('a', 'b', null),
    // Times run back, and are equal.
    time: fc.integer({ min: 0, max: 6 }),
    item: fc.constantFrom('x', 'y', 'z', null),
    age: fc.constantFrom(1, 2, 3),
    counts: fc.boolean(),
  }),
  { maxLength: 30 },
)

const stringsOf = (values: (string | null)[]) => {
  const column = new StringColumn()
  for (const value of values) column.push(value)
  return column
}

function made(rows: readonly Row[], last: number) {
  const ages = new NumberColumn()
  for (const { age } of rows) ages.push(age)
  const lists = makeHistories(
    [stringsOf(rows.map(({ item }) => item)), ages],
    {
      by: stringsOf(rows.map(({ user }) => user)),
      order: Float64Array.from(rows, ({ time }) => time),
      where: Int8Array.from(rows, ({ counts }) => Number(counts)),
    },
    last,
  )
  return rows.map((_, row) => lists.map((list) => list.at(row)))
}

/** The same, row by row. */
function expected(rows: readonly Row[], last: number) {
  return rows.map(({ user, time }) => {
    const before = rows
      .map((row, index) => ({ ...row, index }))
      .filter((row) => user !== null && row.user === user && row.time < time && row.counts)
      .filter(({ item, age }) => item !== null && age !== null)
      .sort((a, b) => a.time - b.time || a.index - b.index)
      .slice(-last)
    return [before.map(({ item }) => item), before.map(({ age }) => age)]
  })
}

t.test('a row has the latest values of the same user from earlier times, in their order', async (t) => {
  fc.assert(
    fc.property(drawn, fc.integer({ min: 1, max: 4 }), (rows, last) => {
      t.same(made(rows, last), expected(rows, last))
    }),
  )
})

t.test('of lists, a history has the values of all of them, with their weights', async (t) => {
  const lists = new ListColumn('string', true)
  lists.push({ values: ['a', 'b'], weights: [1, 2] })
  // Neither a missing list nor an empty one keeps its row out of the history.
  lists.push(null)
  lists.push({ values: [] })
  lists.push({ values: ['c'], weights: [3] })
  lists.push(null)
  const items = stringsOf(['x', 'y', 'z', null, 'x'])
  const rows = { by: stringsOf(['u', 'u', 'u', 'u', 'u']), order: Float64Array.of(0, 1, 2, 3, 4) }
  const histories = (columns: Parameters<typeof makeHistories>[0], last: number) =>
    makeHistories(columns, { ...rows, where: new Int8Array(5).fill(1) }, last).map((list) => list.at(4))
  t.same(histories([lists], 4), [{ values: ['a', 'b', 'c'], weights: [1, 2, 3] }])
  t.same(histories([lists], 3), [{ values: ['c'], weights: [3] }], 'of the latest three rows')
  // The row without an item is in no history of both.
  t.same(histories([items, lists], 3), [['x', 'y', 'z'], { values: ['a', 'b'], weights: [1, 2] }])
})

t.test('a user with a hundred thousand rows takes no longer than as many users', async (t) => {
  const rows = 100_000
  const items = columnOf(Array.from({ length: rows }, (_, i) => `i${i}`)) as StringColumn
  const time = (by: (row: number) => string) => {
    const start = performance.now()
    const order = Float64Array.from({ length: rows }, (_, i) => rows - i)
    const where = new Int8Array(rows).fill(1)
    const users = stringsOf(Array.from({ length: rows }, (_, i) => by(i)))
    const [list] = makeHistories([items], { by: users, order, where }, 20)
    return { seconds: (performance.now() - start) / 1000, list: list! }
  }
  const one = time(() => 'u')
  t.equal(one.list.lengthOf(0), 20, 'the last row of the file is the first in time')
  t.equal(one.list.lengthOf(rows - 1), 0)
  t.same(
    one.list.at(0),
    Array.from({ length: 20 }, (_, i) => `i${20 - i}`),
  )
  t.equal(one.list.values.length, rows, 'no value is kept twice')
  t.ok(one.seconds < 20 * time((row) => `u${row}`).seconds + 1)
})

t.test('histories that would not fit, encoded, are refused by their number', async (t) => {
  const rows = Array.from({ length: 100 }, (_, time): Row => ({ user: 'a', time, item: 'x', age: 1, counts: true }))
  const by = stringsOf(rows.map(() => 'a'))
  const order = Float64Array.from(rows, ({ time }) => time)
  const lists = makeHistories([stringsOf(rows.map(() => 'x'))], { by, order, where: new Int8Array(100).fill(1) }, 10)
  // 0 + 1 + … + 9, then 90 times 10.
  t.throws(() => expectHistoryMemory('spec.yaml', lists, 16, [10], 945 * 16 - 1), {
    message: /history\/last the histories of all rows have 945 values, which would take 15\.1 kB|945 values/,
  })
  t.doesNotThrow(() => expectHistoryMemory('spec.yaml', lists, 16, [10], 945 * 16))
  t.doesNotThrow(() => expectHistoryMemory('spec.yaml', lists, 16, [1], 99 * 16), 'of one value each, but the first')
  const two = [lists[0]!, lists[0]!]
  t.throws(() => expectHistoryMemory('spec.yaml', two, 16, [10, 1], (945 + 99) * 16 - 1), { message: /1,044 values/ })
  t.doesNotThrow(() => expectHistoryMemory('spec.yaml', two, 16, [10, 1], (945 + 99) * 16), 'each by its own most')
})

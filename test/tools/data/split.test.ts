import t from 'tap'
import { columnOf, type StringColumn } from '../../../src/tools/data/columns.ts'
import { splitRows } from '../../../src/tools/data/split.ts'
import { fc } from '../../support/cases.ts'

const shares = { train: 0.6, validation: 0.2, test: 0.2 }

t.test('by order', async (t) => {
  const { train, validation, test } = splitRows({ by: 'order' }, shares, 10)
  t.same([...train], [0, 1, 2, 3, 4, 5])
  t.same([...validation], [6, 7])
  t.same([...test], [8, 9])
})

t.test('by time: rows of one time stay together', async (t) => {
  const times = Float64Array.of(5, 1, 1, 1, 2, 2, 3, 4, 4, 4)
  const { train, validation, test } = splitRows({ by: 'time', column: 'at' }, shares, 10, { times })
  t.same([...train], [1, 2, 3, 4, 5, 6], 'in row order')
  t.same([...validation], [7, 8, 9])
  t.same([...test], [0])
})

t.test('at random: by its seed', async (t) => {
  const parts = (seed: number) => splitRows({ by: 'random', seed }, shares, 1000)
  t.same(parts(1), parts(1))
  t.not(parts(1).train.join(), parts(2).train.join())
  t.ok(Math.abs(parts(1).train.length - 600) < 60)
})

t.test('every row is in one part', async () => {
  const by = fc.constantFrom('order' as const, 'time' as const, 'random' as const)
  fc.assert(
    fc.property(by, fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 50 }), (by, times) => {
      const split = by === 'order' ? { by } : by === 'time' ? { by, column: 'at' } : { by, seed: 1 }
      const { train, validation, test } = splitRows(split, shares, times.length, { times: Float64Array.from(times) })
      const all = [...train, ...validation, ...test].sort((a, b) => a - b)
      return all.length === times.length && all.every((row, i) => row === i)
    }),
  )
})

t.test('by group: rows of a group stay together, and in their part when others come', async (t) => {
  const users = Array.from({ length: 3000 }, (_, i) => (i % 50 === 0 ? null : `u${i % 700}`))
  const split = { by: 'group' as const, seed: 1 }
  const groups = columnOf(users) as StringColumn
  const parts = splitRows(split, shares, users.length, { groups })
  const partOf = new Map<string | null, string>()
  for (const [name, rows] of Object.entries(parts))
    for (const row of rows as Int32Array) {
      const known = partOf.get(users[row]!)
      if (known !== undefined && known !== name) t.fail(`${users[row]} is in ${known} and ${name}`)
      partOf.set(users[row]!, name)
    }
  t.ok(Math.abs(parts.train.length - 1800) < 200)
  const fewer = splitRows(split, shares, 1000, { groups: columnOf(users.slice(0, 1000)) as StringColumn })
  for (const row of fewer.test) t.equal(partOf.get(users[row]!), 'test')
})

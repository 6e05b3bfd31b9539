import t from 'tap'
import { atLength, callsOf, costOf, shareOf, totalOf } from '../../../../src/model/engines/plan/plan-cost.ts'
import type { FullCost } from '../../../../src/model/engines/plan/variant.ts'
import { fc } from '../../../support/cases.ts'

/** Joined, a request of fewer than 20 rows is cheaper. */
const cost: FullCost = { a: 2, b: 50, joined: { a: 4, b: 10 } }

const requestsOf = (counts: readonly number[]) => counts.map((count) => ({ rows: new Int32Array(count) }))
const rowsOf = (calls: { rows: Int32Array }[][]) => calls.map((call) => call.map(({ rows }) => rows.length))

t.test('small requests share a call, large ones have their own', async (t) => {
  t.same(rowsOf(callsOf({ cost, mostRows: Number.POSITIVE_INFINITY }, requestsOf([5, 100, 3, 30, 1]))), [
    [100],
    [30],
    [5, 3, 1],
  ])
  t.same(rowsOf(callsOf({ cost, mostRows: Number.POSITIVE_INFINITY }, requestsOf([5, 100]))), [[5], [100]])
  t.same(callsOf({ cost, mostRows: 1 }, []), [])
  t.same(rowsOf(callsOf({ cost, mostRows: 12 }, requestsOf([5, 3, 30, 4, 1, 2]))), [[5, 3], [12], [12], [6, 4, 1], [2]])
  // Requests that cost as much either way go alone.
  t.same(rowsOf(callsOf({ cost, mostRows: Number.POSITIVE_INFINITY }, requestsOf([20, 20]))), [[20], [20]])
})

t.test('a cost follows from how long lists are', async (t) => {
  const listed: FullCost = { ...cost, engine: 'onnx', short: { a: 1, b: 30, joined: { a: 2, b: 0 } } }
  t.same(atLength(listed, 0), { a: 1, b: 30, joined: { a: 2, b: 0 }, engine: 'onnx' })
  t.same(atLength(listed, 0.5), { a: 1.5, b: 40, joined: { a: 3, b: 5 }, engine: 'onnx' })
  t.same(atLength(listed, 1), { ...cost, engine: 'onnx' })
  t.equal(atLength(cost, 0.5), cost)
})

t.test('the first request of a call pays for it, the others for what they add', async (t) => {
  t.equal(costOf(cost, 0), 0)
  t.equal(totalOf(cost, [5]), 60)
  t.equal(totalOf(cost, [5, 5]), 60 + 30)
  t.equal(totalOf(cost, [5, 100, 5]), 60 + 250 + 30)
  t.equal(totalOf(cost, []), 0)
})

t.test('a share is what a request costs among others like it', async (t) => {
  t.equal(shareOf(cost, 5, 1), 60)
  t.equal(shareOf(cost, 5, 4), 30 + 40 / 4)
  t.equal(shareOf(cost, 100, 4), 250)
  t.equal(shareOf(cost, 0, 4), 0)
})

t.test('no way to share calls costs less than the one that is taken', async () => {
  const number = fc.integer({ min: 0, max: 100 })
  const some = { a: number, b: number }
  const costs = fc.record({ ...some, joined: fc.record(some) })
  const counts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.property(costs, counts, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), (cost, counts, joins) => {
      const taken = totalOf(cost, counts)
      const alone = counts.reduce((sum, rows) => sum + costOf(cost, rows), 0)
      if (taken > alone) throw new Error(`${taken} where each alone is ${alone}`)
      const all = callsOf({ cost, mostRows: Number.POSITIVE_INFINITY }, requestsOf(counts))
      if (all.flat().length !== counts.length) throw new Error('a request is lost')
      // Where the first to join costs the same whichever it is, none is better.
      const joined = counts.filter((_, i) => joins[i])
      const others = counts.filter((_, i) => !joins[i])
      if (joined.length === 0 || cost.joined.a !== cost.a) return
      const way =
        costOf(cost, joined[0]!) +
        joined.slice(1).reduce((sum, rows) => sum + cost.joined.a * rows + cost.joined.b, 0) +
        others.reduce((sum, rows) => sum + costOf(cost, rows), 0)
      if (taken > way) throw new Error(`${taken} where ${way} is possible`)
    }),
  )
})

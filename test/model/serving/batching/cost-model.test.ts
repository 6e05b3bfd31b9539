import t from 'tap'
import { createCostModel } from '../../../../src/model/serving/batching/cost-model.ts'
import { fc } from '../../../support/cases.ts'

const near = (actual: number, expected: number, tolerance = 1e-3) =>
  Math.abs(actual - expected) <= tolerance * Math.max(1e-6, Math.abs(expected))

t.test('it knows nothing at first', async (t) => {
  const cost = createCostModel()
  t.equal(cost.predict(100, 1), 0)
  t.equal(cost.spread, 0)
})

t.test('after calls of one kind, time is proportional to rows', async (t) => {
  const cost = createCostModel()
  for (let i = 0; i < 5; i++) cost.observe(10, 1, 0.5)
  t.ok(near(cost.predict(20, 1), 1))
})

t.test('it finds any cost by row, by request and by call that it is shown', async () => {
  const seconds = fc.double({ min: 1e-6, max: 1e-2, noNaN: true })
  fc.assert(
    fc.property(seconds, seconds, seconds, (a, b, c) => {
      const cost = createCostModel()
      const truth = (rows: number, requests: number) => a * rows + b * requests + c
      for (let i = 0; i < 200; i++) {
        const requests = 1 + ((i * 7) % 13)
        const rows = requests + ((i * 37) % 256)
        cost.observe(rows, requests, truth(rows, requests))
      }
      for (const [rows, requests] of [
        [64, 1],
        [256, 8],
      ] as const)
        if (!near(cost.predict(rows, requests), truth(rows, requests), 0.01))
          throw new Error(`${cost.predict(rows, requests)} for ${truth(rows, requests)}`)
    }),
  )
})

t.test('whatever it is shown, no cost is negative: more rows or requests never take less', async () => {
  const call = fc.record({
    rows: fc.integer({ min: 1, max: 500 }),
    requests: fc.integer({ min: 1, max: 50 }),
    seconds: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 30 }), (calls) => {
      const cost = createCostModel()
      for (const { rows, requests, seconds } of calls) cost.observe(rows, requests, seconds)
      const least = cost.predict(1, 1)
      return (
        least >= 0 &&
        cost.predict(1000, 1) >= least &&
        cost.predict(1, 100) >= least &&
        Number.isFinite(cost.predict(1000, 100)) &&
        cost.spread >= 0
      )
    }),
  )
})

t.test('it follows a machine that becomes slower', async (t) => {
  const cost = createCostModel()
  for (let i = 0; i < 200; i++) cost.observe(1 + (i % 32), 1, 0.001 * (1 + (i % 32)))
  for (let i = 0; i < 400; i++) cost.observe(1 + (i % 32), 1, 0.01 * (1 + (i % 32)))
  t.ok(near(cost.predict(16, 1), 0.16, 0.02))
})

t.test('its spread is how far calls were off, and one pause counts for little', async (t) => {
  const steady = createCostModel()
  const shaky = createCostModel()
  for (let i = 0; i < 300; i++) {
    steady.observe(100, 1, 0.001)
    shaky.observe(100, 1, i % 2 === 0 ? 0.0005 : 0.0015)
  }
  t.ok(steady.spread < 0.01, `${steady.spread}`)
  t.ok(shaky.spread > 0.4 && shaky.spread < 0.6, `${shaky.spread}`)
  steady.observe(100, 1, 10)
  t.ok(steady.spread < 0.5, `${steady.spread}`)
})

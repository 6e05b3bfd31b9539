import fc from 'fast-check'
import t from 'tap'
import { createCostModel, predictDrain } from '../../../src/model/batching/cost-model.ts'

const near = (actual: number, expected: number) => Math.abs(actual - expected) <= 1e-6 * Math.max(1, Math.abs(expected))

t.test('it knows nothing at first', async (t) => {
  t.equal(createCostModel().predict(100), 0)
})

t.test('after calls of one size, time is proportional to rows', async (t) => {
  const cost = createCostModel()
  for (let i = 0; i < 5; i++) cost.observe(10, 0.5)
  t.ok(near(cost.predict(20), 1))
})

t.test('it finds any line it is shown', async () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (a, b) => {
      const cost = createCostModel()
      for (let i = 0; i < 60; i++) cost.observe(1 + ((i * 37) % 256), a * (1 + ((i * 37) % 256)) + b)
      for (const rows of [1, 64, 512])
        if (!near(cost.predict(rows), a * rows + b)) throw new Error(`${cost.predict(rows)} for ${a * rows + b}`)
    }),
  )
})

t.test('it follows a machine that becomes slower, and never predicts less for more rows', async (t) => {
  const cost = createCostModel()
  for (let i = 0; i < 200; i++) cost.observe(1 + (i % 32), 0.001 * (1 + (i % 32)))
  for (let i = 0; i < 400; i++) cost.observe(1 + (i % 32), 0.01 * (1 + (i % 32)))
  t.ok(Math.abs(cost.predict(16) / 0.16 - 1) < 0.02)
  const odd = createCostModel()
  odd.observe(10, 1)
  odd.observe(100, 0.1)
  t.ok(odd.predict(200) >= odd.predict(1))
  t.ok(odd.predict(1) >= 0)
})

t.test('the drain time counts full batches, the rest, half of what is under way, and all engines', async (t) => {
  const cost = createCostModel()
  cost.observe(100, 1)
  t.ok(near(predictDrain(cost, 250, 2, { maxBatchRows: 100, concurrency: 2 }), (2 + 0.5 + 1) / 2))
  t.equal(predictDrain(cost, 0, 0, { maxBatchRows: 100, concurrency: 2 }), 0)
})

import t from 'tap'
import { auc, entropy, logloss } from '../../../src/model/quality/metrics.ts'
import { fc } from '../../support/cases.ts'

const near = (actual: number | null, expected: number, digits = 12) => {
  t.ok(actual !== null && Math.abs(actual - expected) < 10 ** -digits, `${actual} is ${expected}`)
}

t.test('AUC of cases computed by hand', async (t) => {
  t.equal(auc([0, 1], [0.1, 0.9]), 1)
  t.equal(auc([1, 0], [0.1, 0.9]), 0)
  t.equal(auc([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]), 0.5, 'all tied')
  // Pairs (0.8 > 0.4), (0.8 > 0.6), (0.6 > 0.4), (0.6 = 0.6): 3.5 of 4.
  t.equal(auc([0, 0, 1, 1], [0.4, 0.6, 0.6, 0.8]), 0.875)
})

t.test('AUC needs both classes, and numbers', async (t) => {
  t.equal(auc([0, 1], [Number.NaN, 0.5]), null)
  t.equal(auc([], []), null)
  t.equal(auc([1, 1], [0.1, 0.2]), null)
  t.equal(auc([0, 0], [0.1, 0.2]), null)
})

t.test('AUC is the share of pairs in order, ties counting half', async () => {
  const row = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 10 }))
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 60 }), (rows) => {
      const labels = rows.map(([label]) => Number(label))
      const predictions = rows.map(([, value]) => value / 10)
      const positives = predictions.filter((_, i) => labels[i] === 1)
      const negatives = predictions.filter((_, i) => labels[i] === 0)
      const won = positives
        .flatMap((p) => negatives.map((n) => (p > n ? 1 : p === n ? 0.5 : 0)))
        .reduce((sum: number, win) => sum + win, 0)
      const pairs = positives.length * negatives.length
      const actual = auc(labels, predictions)
      return pairs === 0 ? actual === null : Math.abs(actual! - won / pairs) < 1e-12
    }),
  )
})

t.test('logloss', async (t) => {
  near(logloss([1, 0], [0.8, 0.4]), -(Math.log(0.8) + Math.log(0.6)) / 2)
  t.equal(logloss([], []), null)
  t.ok(Number.isFinite(logloss([1, 0], [0, 1])), 'finite for a certain mistake')
  near(logloss([1, 0], [1, 0]), 0)
})

t.test('entropy of the base rate', async (t) => {
  near(entropy([1, 0, 0, 0]), -(0.25 * Math.log(0.25) + 0.75 * Math.log(0.75)))
  t.equal(entropy([1, 1]), null)
  t.equal(entropy([]), null)
})

t.test('no metric depends on the order of the rows', async () => {
  const row = fc.record({ label: fc.integer({ min: 0, max: 1 }), prediction: fc.integer({ min: 0, max: 8 }) })
  const shuffled = fc
    .array(row, { minLength: 1, maxLength: 60 })
    .chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })))
  const metrics = { auc, logloss }
  fc.assert(
    fc.property(shuffled, (orders) => {
      for (const [name, metric] of Object.entries(metrics)) {
        const [one, other] = orders.map((rows) =>
          metric(
            rows.map(({ label }) => label),
            rows.map(({ prediction }) => prediction / 8),
          ),
        )
        if (one === null ? other !== null : Math.abs(one! - other!) > 1e-9) throw new Error(`${name}: ${one}, ${other}`)
      }
    }),
  )
})

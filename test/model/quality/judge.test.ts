import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { judge } from '../../../src/model/quality/judge.ts'
import { rank } from '../../../src/model/quality/ranking.ts'
import { fc, randomCases } from '../../support/cases.ts'

const near = (actual: number | null, expected: number, digits = 9) => {
  t.ok(actual !== null && Math.abs(actual - expected) < 10 ** -digits, `${actual} is ${expected}`)
}

interface Options {
  weights?: number[]
  groups?: number[]
  seed?: number
}

/** Judges rows; without groups each is its own. */
function judged(labels: number[], predictions: number[], { weights, groups, seed = 1 }: Options = {}) {
  const buckets = Uint32Array.from(labels, (_, i) => groups?.[i] ?? i)
  const count = Math.max(1, ...Array.from(buckets, (bucket) => bucket + 1))
  const rows = { labels, predictions, weights, buckets, groups: groups && { of: buckets, count } }
  return judge(rows, rank(predictions), createResampling(count, 200, seed))
}

t.test('normalised entropy is 1 for the base rate', async (t) => {
  near(judged([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]).metrics.normalised_entropy.value, 1)
  t.ok(judged([1, 0, 0, 0], [0.9, 0.1, 0.1, 0.1]).metrics.normalised_entropy.value! < 1)
  for (const labels of [[1, 1], [0, 0], []])
    t.equal(
      judged(
        labels,
        labels.map(() => 0.5),
      ).metrics.normalised_entropy.value,
      null,
    )
})

t.test('calibration ratio', async (t) => {
  near(judged([1, 0], [0.9, 0.6]).metrics.calibration_ratio.value, 1.5)
  t.equal(judged([0, 0], [0.9, 0.6]).metrics.calibration_ratio.value, null)
})

t.test('a constant is calibrated where it is the base rate, however the rows are sorted', async () => {
  const half = new Array(100).fill(0.5)
  const sorted = half.map((_, i) => (i < 50 ? 0 : 1))
  near(judged(sorted, half).eceMeasured, 0)
  near(judged(sorted, new Array(100).fill(0.7)).eceMeasured, 0.2)
})

t.test('the calibration error is at least the bias', async () => {
  const row = fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }))
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 50 }), (rows) => {
      const labels = rows.map(([label]) => Number(label))
      const predictions = rows.map(([, value]) => value)
      const bias = predictions.reduce((sum, p, i) => sum + p - labels[i]!, 0) / rows.length
      return judged(labels, predictions).eceMeasured! >= Math.abs(bias) - 1e-9
    }),
    { numRuns: randomCases(50) },
  )
})

t.test('a row of weight 2 counts as two rows', async (t) => {
  const once = judged([1, 0, 0, 1, 0], [0.9, 0.2, 0.6, 0.4, 0.4], { weights: [2, 1, 1, 1, 2] }).metrics
  const twice = judged([1, 1, 0, 0, 1, 0, 0], [0.9, 0.9, 0.2, 0.6, 0.4, 0.4, 0.4]).metrics
  for (const metric of ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const)
    t.ok(Math.abs(once[metric].value! - twice[metric].value!) < 1e-12, metric)
})

t.test('no metric depends on the order of the rows', async () => {
  const row = fc.record({ label: fc.integer({ min: 0, max: 1 }), prediction: fc.integer({ min: 0, max: 8 }) })
  const shuffled = fc
    .array(row, { minLength: 1, maxLength: 60 })
    .chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })))
  fc.assert(
    fc.property(shuffled, (orders) => {
      const [one, other] = orders.map((rows) =>
        judged(
          rows.map(({ label }) => label),
          rows.map(({ prediction }) => prediction / 8),
        ),
      )
      for (const metric of ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const) {
        const [a, b] = [one!.metrics[metric].value, other!.metrics[metric].value]
        if (a === null ? b !== null : Math.abs(a - b!) > 1e-9) throw new Error(`${metric}: ${a}, ${b}`)
      }
      if (Math.abs(one!.eceMeasured! - other!.eceMeasured!) > 1e-9) throw new Error('ece')
    }),
    { numRuns: randomCases(50) },
  )
})

t.test('intervals are reproducible, and wider where rows come in groups of equal ones', async (t) => {
  const labels = Array.from({ length: 400 }, (_, i) => Number((i * 7919) % 10 < 3))
  const predictions = labels.map((label, i) => 0.2 + 0.3 * label + (((i * 104729) % 97) / 97) * 0.4)
  t.same(judged(labels, predictions).metrics, judged(labels, predictions).metrics)
  t.notSame(judged(labels, predictions).metrics, judged(labels, predictions, { seed: 2 }).metrics)
  const width = ({ low, high }: { low: number | null; high: number | null }) => high! - low!
  const single = judged(labels, predictions).metrics
  const repeated = (values: number[]) => values.flatMap((value) => [value, value, value, value])
  const groups = repeated(labels.map((_, i) => i))
  const grouped = judged(repeated(labels), repeated(predictions), { groups }).metrics
  for (const metric of ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const) {
    t.ok(Math.abs(single[metric].value! - grouped[metric].value!) < 1e-9, metric)
    const ratio = width(grouped[metric]) / width(single[metric])
    t.ok(ratio > 0.9 && ratio < 1.1, `${metric}: four copies of a row say no more than one: ${ratio}`)
  }
})

t.test(
  'ratios to a handful of positives have no interval, where replicates without any are among the outer ones',
  async (t) => {
    const judged = (positives: number) => {
      const rows = 1000
      const predictions = Float64Array.from({ length: rows }, (_, row) => 0.001 + row / 100_000)
      const labels = Uint8Array.from({ length: rows }, (_, row) => Number(row % Math.floor(rows / positives) === 0))
      const buckets = Uint32Array.from({ length: rows }, (_, row) => row)
      const task = { labels, predictions, weights: undefined, groups: undefined, buckets }
      return judge(task, rank(predictions), createResampling(rows, 1000, 1)).metrics
    }
    t.match(judged(1).calibration_ratio, { low: null, high: null })
    t.match(judged(2).calibration_ratio, { low: null, high: null })
    t.ok(judged(10).calibration_ratio.high! > judged(10).calibration_ratio.value!)
    t.type(judged(1).logloss.low, 'number', 'a mean has one')
  },
)

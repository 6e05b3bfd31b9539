import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { compare } from '../../../src/tools/evaluate/compare.ts'
import { drawPair } from '../../support/simulated-pairs.ts'
import { bucketsOf } from '../../support/simulated-rows.ts'
import { verdictsOf } from '../../support/verdicts.ts'

/*
 * Verdicts on simulated versions; compare-verdicts.full.test.ts has more and larger ones.
 */

const alike = { shared: 0.7, a: 0.15, b: 0.15, perGroup: 1 }

t.test('an equally good version is hardly ever told from the other', async (t) => {
  for (const perGroup of [1, 5]) {
    const { none } = verdictsOf({ ...alike, perGroup }, { rows: 2000, draws: 60 })
    t.ok(none >= 0.9, `${perGroup} rows per group: ${none}`)
  }
})

t.test('a version is not told from itself', async (t) => {
  const { a } = drawPair({ ...alike, perGroup: 5 }, 2000, 1)
  const { verdict, reasons } = compare({ a: 'a', b: 'a' }, [{ a, b: a }], createResampling(bucketsOf(a), 100, 1))
  t.equal(verdict, 'no difference shown')
  t.same(reasons, ['no interval of AUC or normalised entropy excludes "no difference"'])
})

t.test('versions that differ by the rounding of a fit are not told apart', async (t) => {
  const { a } = drawPair(alike, 2000, 1)
  const scaled = (by: number) => ({ ...a, predictions: a.predictions.map((prediction) => prediction * by) })
  const pair = { a: scaled(1.5), b: scaled(1.5 * (1 - 3e-8)) }
  const { tasks } = compare({ a: 'a', b: 'b' }, [pair], createResampling(bucketsOf(a), 100, 1))
  const { calibration_ratio, ...others } = tasks[0]!.metrics
  t.not(calibration_ratio.difference.value, 0)
  for (const { verdict } of [calibration_ratio, ...Object.values(others)]) t.equal(verdict, 'no difference shown')
})

t.test('turned round, better is worse, by the same numbers', async (t) => {
  const { a, b } = drawPair({ ...alike, a: 1.5 }, 8000, 1)
  const resampling = createResampling(bucketsOf(a), 200, 1)
  const there = compare({ a: 'a', b: 'b' }, [{ a, b }], resampling)
  const back = compare({ a: 'b', b: 'a' }, [{ a: b, b: a }], resampling)
  t.same([there.verdict, back.verdict], ['better', 'worse'])
  for (const metric of ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const) {
    const [one, other] = [there.tasks[0]!.metrics[metric], back.tasks[0]!.metrics[metric]]
    t.ok(Math.abs(one.difference.value! + other.difference.value!) < 1e-12, metric)
    t.ok(Math.abs(one.difference.low! + other.difference.high!) < 1e-9, `interval of ${metric}`)
  }
})

t.test('one group, or one positive, shows no difference', async (t) => {
  const { a, b } = drawPair({ ...alike, a: 3 }, 400, 1)
  const one = { of: new Uint32Array(400), count: 1 }
  const inOne = { groups: one, buckets: one.of }
  const grouped = compare(
    { a: 'a', b: 'b' },
    [{ a: { ...a, ...inOne }, b: { ...b, ...inOne } }],
    createResampling(1, 100, 1),
  )
  t.equal(grouped.verdict, 'no difference shown')
  t.match(grouped.tasks[0]!.metrics, { auc: { difference: { low: null } }, logloss: { difference: { low: null } } })
  const labels = a.labels.map((_, row) => (row === 7 ? 1 : 0))
  const single = compare(
    { a: 'a', b: 'b' },
    [{ a: { ...a, labels }, b: { ...b, labels } }],
    createResampling(400, 100, 1),
  )
  t.match(single.tasks[0]!.metrics.auc, { difference: { low: null, high: null }, verdict: 'no difference shown' })
})

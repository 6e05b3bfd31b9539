import t from 'tap'
import { createResampling } from '../../../../src/model/quality/bootstrap.ts'
import { judge } from '../../../../src/model/quality/judge.ts'
import { rank } from '../../../../src/model/quality/ranking.ts'
import {
  createCalibrator,
  createDerivedCalculator,
  logit,
  sigmoid,
} from '../../../../src/model/serving/calibration/calibrator.ts'
import {
  type CalibrationRows,
  fitCalibration,
  fitIsotonic,
  fitPlatt,
} from '../../../../src/model/serving/calibration/fit-calibration.ts'
import { createRandom } from '../../../../src/tools/data/random.ts'

/** Rows whose true logit is `bend` of the predicted one. */
function rowsOf(count: number, base: number, bend: (score: number) => number, seed = 1): CalibrationRows {
  const random = createRandom(seed)
  const scores = Array.from({ length: count }, () => base + 1.5 * random.normal())
  return {
    labels: Uint8Array.from(scores, (score) => Number(random.uniform() < sigmoid(bend(score)))),
    probabilities: Float64Array.from(scores, sigmoid),
    buckets: Uint32Array.from(scores, (_, row) => row),
  }
}

/** No σ(a · logit + b). */
const steps = (score: number) => (score > 0 ? 1.5 : -2.5)

t.test('auto picks isotonic only where it wins, from 1,000 positives on', async (t) => {
  const bent = rowsOf(20_000, 0, steps)
  t.equal(fitCalibration('auto', bent)!.method, 'isotonic')
  t.equal(
    fitCalibration(
      'auto',
      rowsOf(20_000, 0, (score) => 0.7 * score - 1),
    )!.method,
    'platt',
    'platt is right',
  )
  const few = rowsOf(1500, 0, steps)
  t.ok(few.labels.reduce((sum, label) => sum + label, 0) < 1000)
  t.equal(fitCalibration('auto', few)!.method, 'platt', 'too few positives')
})

t.test('auto picks the same where labels alternate from row to row', async (t) => {
  const { labels, probabilities } = rowsOf(20_000, 0, steps)
  const byLabel = [0, 1].map((label) => Array.from(labels.keys()).filter((row) => labels[row] === label))
  const pairs = byLabel[1]!.flatMap((row, i) => [row, byLabel[0]![i]!])
  const sorted: CalibrationRows = {
    labels: Uint8Array.from(pairs, (row) => labels[row]!),
    probabilities: Float64Array.from(pairs, (row) => probabilities[row]!),
    buckets: Uint32Array.from(pairs, (_, i) => i),
  }
  t.equal(fitCalibration('auto', sorted)!.method, 'isotonic')
})

t.test('an isotonic calibration is monotone, inside 0 and 1, and of at most 256 points', async (t) => {
  for (const count of [60, 20_000, 300_000]) {
    const { labels, probabilities } = rowsOf(count, -1, (score) => score)
    const { x, y } = fitIsotonic(labels, probabilities)!
    t.ok(x.every((value, i) => i === 0 || value > x[i - 1]!))
    t.ok(y.every((value, i) => i === 0 || value >= y[i - 1]!))
    t.ok(y[0]! > 0 && y.at(-1)! < 1 && x.length <= 256, `${x.length} points`)
    const calibrate = createCalibrator({ method: 'isotonic', x, y })
    const mean = probabilities.reduce((sum, p) => sum + calibrate(p), 0)
    const positives = labels.reduce((sum, label) => sum + label, 0)
    t.ok(Math.abs(mean / positives - 1) < (count < 100 ? 0.05 : 0.03), `calibration ratio ${mean / positives}`)
  }
})

t.test('the unit of weights changes nothing', async (t) => {
  const { labels, probabilities, buckets } = rowsOf(5000, -1, (score) => 0.5 * score)
  const weights = probabilities.map((_, row) => 1 + (row % 3))
  const one = { labels, probabilities, buckets, weights }
  const other = { ...one, weights: weights.map((weight) => weight * 2 ** -20) }
  t.same(fitCalibration('isotonic', one), fitCalibration('isotonic', other))
  const [a, b] = [one, other].map((rows) => fitCalibration('platt', rows) as { a: number; b: number })
  t.ok(Math.abs(a!.a - b!.a) < 1e-9 && Math.abs(a!.b - b!.b) < 1e-9)
})

t.test('a calibrated product is at most its smallest factor', async (t) => {
  const derive = createDerivedCalculator({ calibration: { method: 'platt', a: 0.3, b: 2 } })
  const random = createRandom(1)
  const factors = [0, 1].map(() => Float64Array.from({ length: 1000 }, () => random.uniform()))
  const values = derive(factors, 1000)
  t.ok(values.every((value, row) => value <= factors[0]![row]! && value <= factors[1]![row]!))
})

t.test('negatives kept at 10 %, and weighted, say what all rows say', async (t) => {
  const all = rowsOf(400_000, -4, (score) => 0.8 * score - 0.5)
  const random = createRandom(9)
  const kept = Array.from(all.labels.keys()).filter((row) => all.labels[row] === 1 || random.uniform() < 0.1)
  const labels = Uint8Array.from(kept, (row) => all.labels[row]!)
  const predictions = Float64Array.from(kept, (row) => all.probabilities[row]!)
  const weights = Float64Array.from(labels, (label) => (label ? 1 : 10))
  const buckets = Uint32Array.from(kept, (_, i) => i % 4096)
  const whole = judge(
    {
      ...all,
      predictions: all.probabilities,
      weights: undefined,
      groups: undefined,
      buckets: Uint32Array.from(all.labels),
    },
    rank(all.probabilities),
    createResampling(2, 2, 1),
  ).metrics
  const part = judge(
    { labels, predictions, weights, groups: undefined, buckets },
    rank(predictions),
    createResampling(4096, 200, 1),
  ).metrics
  for (const name of ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const) {
    const { low, high } = part[name]
    t.ok(low! <= whole[name].value! && whole[name].value! <= high!, `${name}: ${whole[name].value}, ${low} … ${high}`)
  }
  const full = fitPlatt(all.labels, all.probabilities.map(logit))!
  const sampled = fitPlatt(labels, predictions.map(logit), weights)!
  t.ok(Math.abs(full.a - sampled.a) < 0.03, `a ${full.a}, ${sampled.a}`)
  t.ok(Math.abs(full.b - sampled.b) < 0.1, `b ${full.b}, ${sampled.b}`)
})

t.test('Platt scaling of raw probabilities is that of corrected ones after the correction', async (t) => {
  const { labels, probabilities } = rowsOf(20_000, 0, (score) => score - 2)
  const correct = createCalibrator({ method: 'negative_sampling', kept: 0.1 })
  const raw = fitPlatt(labels, probabilities.map(logit))!
  const corrected = fitPlatt(
    labels,
    Float64Array.from(probabilities, (p) => logit(correct(p))),
  )!
  const [one, other] = [createCalibrator(raw), createCalibrator(corrected)]
  for (const p of [0.001, 0.1, 0.5, 0.9, 0.999]) t.ok(Math.abs(one(p) - other(correct(p))) < 1e-7, `${p}`)
  t.ok(Math.abs(raw.a - corrected.a) < 1e-6)
  t.ok(Math.abs(raw.b - (corrected.b + corrected.a * Math.log(0.1))) < 1e-6)
})

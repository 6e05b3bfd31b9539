import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { perfectCalibrationError } from '../../../src/model/quality/calibration-error.ts'
import { judge } from '../../../src/model/quality/judge.ts'
import { rank } from '../../../src/model/quality/ranking.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { randomCases } from '../../support/cases.ts'
import { coverageOf, covered, shareAbovePerfect } from '../../support/coverage.ts'
import {
  drawRows,
  drawSampledRows,
  grouped,
  independent,
  type Population,
  weighted,
} from '../../support/simulated-rows.ts'

/*
 * Intervals and calibration errors of simulated rows whose truth is known; coverage.full.test.ts has more and larger
 * ones.
 */

const few = { sets: 80, replicates: 150, truth: 300_000 }

t.test('intervals cover the truth about as often as they say', async (t) => {
  const shares = coverageOf(independent, { ...few, sets: randomCases(300, 80), rows: 1000, seed: 60_000 })
  for (const name of covered) t.ok(shares[name] >= 0.88, `${name}: ${shares[name]}`)
})

t.test('intervals over groups do, and those that ignore groups do not', async (t) => {
  const shares = coverageOf(grouped, { ...few, rows: 8000, seed: 70_000 })
  for (const name of covered) t.ok(shares[name] >= 0.88, `${name}: ${shares[name]}`)
  const ignored = coverageOf(grouped, { ...few, sets: 40, rows: 8000, seed: 80_000, ignoreGroups: true })
  t.ok(ignored.logloss < 0.88, `log-loss without groups: ${ignored.logloss}`)
})

/** Means over draws of rows whose predictions are their true probabilities, plus `shift`. */
function calibrationErrors(population: Population, rows: number, draws: number, shift: number) {
  const resampling = createResampling(rows, 100, 1)
  const mean = { measured: 0, debiased: 0, inPerfect: 0 }
  for (let draw = 0; draw < draws; draw++) {
    const drawn = drawRows(population, rows, 1 + draw)
    const predictions = drawn.truth.map((p) => Math.min(1, p + shift))
    const order = rank(predictions)
    const { eceMeasured, metrics } = judge({ ...drawn, predictions }, order, resampling)
    const perfect = perfectCalibrationError({ ...drawn, predictions }, order, draw)!
    mean.measured += eceMeasured! / draws
    mean.debiased += metrics.ece.value! / draws
    if (perfect.low <= eceMeasured! && eceMeasured! <= perfect.high) mean.inPerfect += 1 / draws
  }
  return mean
}

t.test('the calibration error of calibrated predictions is chance, most of which is taken off', async (t) => {
  const { measured, debiased, inPerfect } = calibrationErrors(independent, 2000, randomCases(60, 30), 0)
  t.ok(measured > 0.008, `measured ${measured}`)
  t.ok(debiased < 0.35 * measured, `debiased ${debiased}`)
  t.ok(inPerfect >= 0.88, `within what perfect calibration gives: ${inPerfect}`)
})

t.test('a miscalibration of 0.03 is found', async (t) => {
  const { measured, debiased, inPerfect } = calibrationErrors(
    { ...independent, base: 0 },
    4096,
    randomCases(30, 15),
    0.03,
  )
  t.ok(measured > 0.029, `measured ${measured}`)
  t.ok(debiased > 0.023 && debiased < 0.033, `debiased ${debiased}`)
  t.ok(inPerfect < 0.5, `within what perfect calibration gives: ${inPerfect}`)
})

/** How often labels drawn from predictions are as far off as those of rows whose predictions are `times` the truth. */
function shareInRange(population: Population, times: number, sets: number) {
  let inside = 0
  for (let set = 0; set < sets; set++) {
    const drawn = drawSampledRows(population, 20_000, 0.05, 100 + set)
    const predictions = drawn.truth.map((p) => Math.min(1, times * p))
    const order = rank(predictions)
    const { eceMeasured } = judge({ ...drawn, predictions }, order, createResampling(1000, 20, 1))
    const { low, high } = perfectCalibrationError({ ...drawn, predictions }, order, set)!
    if (low <= eceMeasured! && eceMeasured! <= high) inside++
  }
  return inside / sets
}

t.test('where negatives were dropped, perfect predictions are in their range, and others are not', async (t) => {
  for (const population of [independent, weighted]) {
    t.ok(shareInRange(population, 1, randomCases(60, 40)) >= 0.88)
    t.ok(shareInRange(population, 1.4, randomCases(30, 20)) <= 0.1)
  }
})

t.test('so it is for products, by the labels of their factors', async (t) => {
  const random = createRandom(6)
  const kept = 0.05
  const inRange = (times: number) => {
    const rows: { click: number; buy: number; label: number; weight: number }[] = []
    while (rows.length < 2000) {
      const [click, buy] = [0.1 * random.uniform(), 0.6 * random.uniform()]
      const clicked = random.uniform() < click
      if (!clicked && random.uniform() >= kept) continue
      const label = Number(clicked && random.uniform() < buy)
      rows.push({ click: Math.min(1, times * click), buy, label, weight: clicked ? 1 : 1 / kept })
    }
    const task = {
      labels: rows.map(({ label }) => label),
      predictions: rows.map(({ click, buy }) => click * buy),
      weights: rows.map(({ weight }) => weight),
      kept: {
        own: undefined,
        shares: [kept, 1],
        factors: [rows.map(({ click }) => click), rows.map(({ buy }) => buy)],
      },
      groups: undefined,
      buckets: Uint32Array.from(rows, (_, i) => i % 1000),
    }
    const order = rank(task.predictions)
    const { eceMeasured } = judge(task, order, createResampling(1000, 20, 1))
    t.equal(perfectCalibrationError({ ...task, kept: { ...task.kept, factors: undefined } }, order, 1), undefined)
    const { low, high } = perfectCalibrationError(task, order, 1)!
    return low <= eceMeasured! && eceMeasured! <= high
  }
  const share = (times: number, sets: number) =>
    Array.from({ length: sets }, () => inRange(times)).filter(Boolean).length / sets
  t.ok(share(1, randomCases(30, 20)) >= 0.88)
  t.ok(share(1.5, randomCases(10, 7)) <= 0.1)
})

t.test('few large groups: perfect predictions are seldom above their range', async (t) => {
  const sets = randomCases(50, 30)
  const [heeded, ignored] = [shareAbovePerfect(sets, false), shareAbovePerfect(sets, true)]
  t.ok(heeded <= 0.12, `above the range: ${heeded}`)
  t.ok(ignored > heeded, `where groups are ignored: ${ignored}`)
})

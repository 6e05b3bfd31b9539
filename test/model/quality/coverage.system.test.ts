import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { perfectCalibrationError } from '../../../src/model/quality/calibration-error.ts'
import { judge } from '../../../src/model/quality/judge.ts'
import { rank } from '../../../src/model/quality/ranking.ts'
import { randomCases } from '../../support/cases.ts'
import { coverageOf, covered, shareAbovePerfect } from '../../support/coverage.ts'
import { drawRows, grouped, independent, type Population } from '../../support/simulated-rows.ts'

/*
 * Intervals and calibration errors of simulated rows whose truth is known; coverage.full.test.ts has larger ones,
 * and those of rows whose negatives were dropped.
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

t.test('few large groups: perfect predictions are seldom above their range', async (t) => {
  const sets = randomCases(50, 30)
  const [heeded, ignored] = [shareAbovePerfect(sets, false), shareAbovePerfect(sets, true)]
  t.ok(heeded <= 0.12, `above the range: ${heeded}`)
  t.ok(ignored > heeded, `where groups are ignored: ${ignored}`)
})

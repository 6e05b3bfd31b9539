import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { assignBins, binsOf } from '../../../src/model/quality/calibration-bins.ts'
import { judge } from '../../../src/model/quality/judge.ts'
import { inverseNormal, meanAbsolute, normalCdf } from '../../../src/model/quality/normal.ts'
import { aucComponents, aucVariance, rank } from '../../../src/model/quality/ranking.ts'
import { logit } from '../../../src/model/serving/calibration/calibrator.ts'
import { fitPlatt, poolAdjacent } from '../../../src/model/serving/calibration/fit-calibration.ts'
import { createRandom, type Random } from '../../../src/tools/data/random.ts'
import { spearman } from '../../../src/tools/evaluate/compare.ts'
import { evaluateTask, type PredictedTask } from '../../../src/tools/evaluate/evaluate-task.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { pythonWith } from '../../support/python.ts'

/*
 * Metrics, variances and calibrations against scikit-learn, SciPy and NumPy, on the same random rows.
 */

interface Case {
  labels: number[]
  predictions: number[]
  /** The predictions of another version. */
  other: number[]
  weights: number[] | null
  groups: number[]
  /** No prediction is 0 or 1. */
  inside: boolean
}

interface Answer {
  auc: number
  logloss: number
  normalised_entropy: number
  calibration_ratio: number
  roc: { fpr: number[]; tpr: number[] }
  gauc: number[] | null
  isotonic: number[]
  spearman: number | null
  delong?: number[][]
  obuchowski?: number[][]
  ece?: number
  bins?: { rows: number[]; observed: number[]; predicted: number[] }
  platt?: number[]
}

interface Kind {
  rows: number
  rate: number
  /** Decimals of the predictions: few make ties. */
  decimals: number
  weights?: (random: Random) => number
}

const kinds: Kind[] = [
  { rows: 8, rate: 0.5, decimals: 1 },
  { rows: 17, rate: 0.3, decimals: 16 },
  { rows: 60, rate: 0.4, decimals: 1 },
  { rows: 200, rate: 0.5, decimals: 2, weights: (random) => random.integer(4) },
  { rows: 303, rate: 0.1, decimals: 16, weights: (random) => 1e-3 * random.uniform() },
  { rows: 999, rate: 0.2, decimals: 3 },
  { rows: 2000, rate: 0.01, decimals: 4 },
  { rows: 2000, rate: 0.99, decimals: 16, weights: (random) => Math.exp(2 * random.normal()) },
  { rows: 3000, rate: 0.05, decimals: 16 },
  { rows: 3000, rate: 0.001, decimals: 3 },
]

function createCase({ rows, rate, decimals, weights }: Kind, seed: number): Case {
  const random = createRandom(seed)
  const base = Math.log(rate / (1 - rate))
  const truth = Array.from({ length: rows }, () => base + random.normal())
  const probability = (score: number) => Number((1 / (1 + Math.exp(-score))).toFixed(decimals))
  const labels = truth.map((score) => Number(random.uniform() < 1 / (1 + Math.exp(-score))))
  // Both classes, each of two groups.
  for (const [row, label] of [1, 1, 0, 0].entries()) labels[row] = label
  const groups = truth.map((_, row) => (row < 4 ? row % 2 : random.integer(Math.ceil(rows / 5))))
  const predictions = truth.map((score) => probability(0.8 * score + 0.3 * random.normal()))
  return {
    labels,
    predictions,
    other: truth.map((score) => probability(score + random.normal())),
    weights: weights ? truth.map((_, row) => (row < 4 ? 1e-3 : weights(random))) : null,
    groups,
    inside: predictions.every((value) => value > 0 && value < 1),
  }
}

const cases = kinds.flatMap((kind, i) => [createCase(kind, 2 * i + 1), createCase(kind, 2 * i + 2)])
const normal = {
  x: Array.from({ length: 401 }, (_, i) => (i - 200) / 10),
  p: [1e-300, 1e-20, 1e-9, ...Array.from({ length: 199 }, (_, i) => (i + 1) / 200), 1 - 1e-9],
  absolute: [0, 0.01, 0.5, 1, 3, 10].flatMap((mean) => [0, 0.1, 1, 7].map((deviation) => [-mean, deviation])),
}

const python = await pythonWith(['scikit-learn==1.9.1'])
const why = typeof python === 'string' ? python : false

const answers = await askPython()

async function askPython(): Promise<{
  cases: Answer[]
  normal: { cdf: number[]; inverse: number[]; absolute: number[] }
}> {
  if (typeof python === 'string') return { cases: [], normal: { cdf: [], inverse: [], absolute: [] } }
  const file = join(await temporaryFolder(t), 'cases.json')
  await writeFile(file, JSON.stringify({ cases, normal }))
  return JSON.parse(await python.run('scikit-learn/judge.py', [file]))
}

/** The first of the numbers that is further off than `tolerance`, relative to those above 1; undefined if none is. */
function wrong(actual: ArrayLike<number | null>, expected: ArrayLike<number>, tolerance = 1e-9): string | undefined {
  if (actual.length !== expected.length) return `${actual.length} numbers, not ${expected.length}`
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i] ?? Number.NaN, expected[i]!]
    if (!(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)))) return `number ${i} is ${a}, not ${b}`
  }
  return undefined
}

function taskOf({ labels, predictions, weights, groups }: Case): PredictedTask {
  const of = Uint32Array.from(groups)
  return {
    name: 'task',
    positions: Int32Array.from(labels, (_, i) => i),
    labels: Uint8Array.from(labels),
    weights: weights ? Float64Array.from(weights) : undefined,
    groups: { of, count: Math.max(...groups) + 1 },
    buckets: of,
    oracle: undefined,
    positives: labels.reduce((sum, label) => sum + label, 0),
    predictions: Float64Array.from(predictions),
    uncalibrated: undefined,
  }
}

/** As a report rounds them. */
const six = (value: number) => Number(value.toPrecision(6))

cases.forEach((one, i) => {
  const { labels, predictions, weights, other } = one
  const title = `${labels.length} rows${weights ? ' of weights' : ''}, case ${i + 1}`
  t.test(title, { skip: why }, async (t) => {
    const expected = answers.cases[i]!
    const task = taskOf(one)
    const order = rank(predictions)
    const resampling = createResampling(task.groups!.count, 20, 1)
    const near = (actual: ArrayLike<number | null>, expected: ArrayLike<number>, what: string, tolerance?: number) =>
      t.equal(wrong(actual, expected, tolerance), undefined, what)

    const { metrics, eceMeasured } = judge(task, order, resampling)
    for (const name of ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const)
      near([metrics[name].value], [expected[name]], name)

    const { roc, gauc } = await evaluateTask({ name: 'task' }, task, undefined, {
      ...{ resampling, coarse: resampling, slicings: [], seed: 1 },
    })
    const points = new Set(expected.roc.fpr.map((fpr, point) => `${six(fpr)} ${six(expected.roc.tpr[point]!)}`))
    const off = roc.fpr.filter((fpr, point) => !points.has(`${six(fpr)} ${six(roc.tpr[point]!)}`))
    t.same(off, [], 'points of the ROC curve')
    t.same([roc.fpr[0], roc.tpr[0], roc.fpr.at(-1), roc.tpr.at(-1)], [0, 0, 1, 1], 'from end to end')

    if (expected.gauc) near([gauc!.by_rows.value, gauc!.by_positives.value, gauc!.equally.value], expected.gauc, 'GAUC')
    else t.equal(gauc!.groups, 0)

    near(isotonicAt(one), withWeight(expected.isotonic, weights), 'isotonic regression')
    const correlation = spearman(order, task.predictions, Float64Array.from(other))
    if (expected.spearman !== null) near([correlation ?? null], [expected.spearman], 'Spearman')
    else t.equal(correlation, undefined)

    if (expected.platt) {
      const fitted = fitPlatt(labels, predictions.map(logit), weights ?? undefined)
      // Scikit-learn's solver stops at 1e-8.
      if (expected.platt[0]! > 0) near([fitted!.a, fitted!.b], expected.platt, 'Platt scaling', 1e-7)
      else t.equal(fitted, undefined, 'a calibration that would reverse the ranking')
    }
    if (expected.ece === undefined) return
    near([eceMeasured], [expected.ece], 'calibration error')
    const bins = binsOf(labels, predictions, undefined, order, assignBins(predictions, undefined, order, 10))
    for (const name of ['rows', 'observed', 'predicted'] as const)
      near(
        bins.map((bin) => bin[name]),
        expected.bins![name],
        `${name} of bins`,
      )
    near(covariances(one, false), expected.delong!.flat(), 'DeLong')
    near(covariances(one, true), expected.obuchowski!.flat(), 'Obuchowski')
  })
})

/** Values of rows that have weight. */
function withWeight(values: number[], weights: number[] | null): number[] {
  return values.filter((_, row) => weights?.[row] !== 0)
}

/** The fitted value of each row that has weight, in the order of the rows. */
function isotonicAt({ labels, predictions, weights }: Case): number[] {
  const blocks = poolAdjacent(labels, predictions, weights ?? undefined)
  const fitted: number[] = []
  let [block, seen] = [0, 0]
  for (const row of rank(predictions)) {
    const weight = weights?.[row] ?? 1
    // A block ends where its weight is used up.
    if (weight > 0 && seen > blocks[block]!.weight * (1 - 1e-9)) [block, seen] = [block + 1, 0]
    fitted[row] = blocks[block]!.positive / blocks[block]!.weight
    seen += weight
  }
  return withWeight(fitted, weights)
}

/** [2, 2]: variances of both versions' AUCs and their covariance, by that of the difference. */
function covariances({ labels, predictions, other, groups }: Case, clustered: boolean): number[] {
  const order = rank(predictions)
  const [a, b] = [
    aucComponents(labels, predictions, undefined, order)!,
    aucComponents(labels, other, undefined, rank(other))!,
  ]
  const { positive, negative } = a
  const of = Uint32Array.from(groups)
  const input = {
    ...{ labels, weights: undefined, order, positive, negative },
    groups: clustered ? { of, count: Math.max(...groups) + 1 } : undefined,
  }
  const ofA = aucVariance(input, (row) => a.components[row]! - a.auc)
  const ofB = aucVariance(input, (row) => b.components[row]! - b.auc)
  const ofDifference = aucVariance(input, (row) => b.components[row]! - b.auc - (a.components[row]! - a.auc))
  const covariance = (ofA + ofB - ofDifference) / 2
  return [ofA, covariance, covariance, ofB]
}

t.test('the normal distribution', { skip: why }, async (t) => {
  t.equal(wrong(normal.x.map(normalCdf), answers.normal.cdf, 1e-14), undefined, 'distribution function')
  t.equal(wrong(normal.p.map(inverseNormal), answers.normal.inverse, 1e-12), undefined, 'quantiles')
  t.same([inverseNormal(0), inverseNormal(1)], [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
  const absolute = normal.absolute.map(([mean, deviation]) => meanAbsolute(mean!, deviation!))
  t.equal(wrong(absolute, answers.normal.absolute, 1e-12), undefined, 'mean of absolute values')
})

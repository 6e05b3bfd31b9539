import { logit } from '../../../../model/quality/metrics.ts'
import type { ReliabilityBin, TaskEvaluation } from '../../../../schemas/evaluation.ts'
import { decimal, digits, percent } from '../base/numbers.ts'
import {
  type Chart,
  colours,
  decimalLabels,
  dot,
  frame,
  guide,
  type Key,
  type Layer,
  legend,
  linearTicks,
  percentLabels,
  plotWidth,
  quantity,
  square,
  titleAbove,
} from './draw.ts'

const left = 56

/** Mean prediction and observed rate per bin, before and after calibration; undefined without bins. */
export function reliabilityChart({ name, reliability }: TaskEvaluation): Chart | undefined {
  const { served, uncalibrated = [] } = reliability
  if (served.length === 0) return undefined
  const bins = [...served, ...uncalibrated]
  const values = bins.flatMap(({ predicted, observed }) => [predicted, observed])
  const logarithmic = needsLogarithm(values)
  const domain = limits([...values, ...bins.map(({ high }) => high)], logarithmic)
  const pixels = plotWidth(left)
  const keys: Key[] = [{ text: uncalibrated.length > 0 ? 'served' : 'prediction', mark: servedMark }]
  if (uncalibrated.length > 0) keys.push({ text: 'before calibration', mark: uncalibratedMark })
  const channel = (gap: number, axis: object) => {
    const values = logarithmic ? logarithmicTicks(domain, pixels, gap) : linearTicks(domain[1], 5)
    return quantity(domain, { ...axis, labelExpr: percentLabels, values }, logarithmic ? 'log' : 'linear')
  }
  const axes = {
    x: channel(50, { title: 'Mean prediction of the bin' }),
    y: channel(34, { title: 'Observed share of positives', ...titleAbove(left) }),
  }
  const spec = frame({
    height: pixels,
    left,
    top: 54,
    layer: [
      {
        data: { values: domain.map((at) => ({ x: at, y: at })) },
        mark: guide,
        encoding: { x: { field: 'x', ...axes.x }, y: { field: 'y', ...axes.y } },
      },
      ...series(uncalibrated, domain, axes, uncalibratedMark, { color: colours.second, strokeDash: [2, 2] }),
      ...series(served, domain, axes, servedMark, { color: colours.first, strokeWidth: 2 }),
      ...legend(keys, -38, -left + 4),
    ],
  })
  return { spec, words: words(name, served) }
}

const servedMark = dot(46)
const uncalibratedMark = {
  type: 'point',
  shape: 'diamond',
  filled: false,
  color: colours.second,
  fill: colours.paper,
  opacity: 1,
  size: 52,
  strokeWidth: 1.5,
}

function series(
  bins: readonly ReliabilityBin[],
  [low, high]: readonly [number, number],
  { x, y }: { x: object; y: object },
  point: object,
  rule: object,
): Layer[] {
  // A logarithmic axis has no 0: such bins stand at its edge.
  const within = (value: number) => Math.min(high, Math.max(low, value))
  const values = bins.map((bin) => ({
    x: within(bin.predicted),
    y: within(bin.observed),
    low: within(bin.low),
    high: within(bin.high),
  }))
  const data = { values }
  return [
    {
      data,
      mark: { type: 'rule', ...rule },
      encoding: { x: { field: 'x', ...x }, y: { field: 'low', ...y }, y2: { field: 'high' } },
    },
    { data, mark: point, encoding: { x: { field: 'x', ...x }, y: { field: 'y', ...y } } },
  ]
}

function words(name: string, bins: readonly ReliabilityBin[]): string {
  const pairs = bins.map(({ predicted, observed }) => `${percent(predicted)} and ${percent(observed)}`)
  return `Reliability of ${name}: mean prediction and observed rate per bin: ${pairs.join('; ')}`
}

/** Whether probabilities need a logarithmic axis: all are small, and they span a decade. */
export function needsLogarithm(values: readonly number[]): boolean {
  const positive = values.filter((value) => value > 0)
  if (positive.length === 0) return false
  const high = Math.max(...positive)
  return high < 0.5 && high / Math.min(...positive) >= 10
}

/** Limits a little outside of the values; of a logarithmic axis never 0. */
export function limits(values: readonly number[], logarithmic: boolean): [low: number, high: number] {
  const high = Math.max(...values, 0)
  if (!logarithmic) return [0, Math.min(1, high * 1.05) || 1]
  const low = Math.min(...values.filter((value) => value > 0))
  return [low / 1.3, Math.min(1, high * 1.15)]
}

/** Places for labels of a logarithmic axis, at least `gap` pixels apart on `pixels`. */
export function logarithmicTicks([low, high]: readonly [number, number], pixels: number, gap: number): number[] {
  const perDecade = pixels / Math.log10(high / low)
  const steps = [[1, 2, 5], [1, 3], [1]].find((steps) => narrowest(steps) * perDecade >= gap) ?? [1]
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const step of steps) {
      const tick = Number(`${step}e${power}`)
      if (tick >= low && tick <= high) ticks.push(tick)
    }
  return everyOther(ticks, perDecade, gap)
}

/** Shortest distance between steps of a decade, in decades. */
function narrowest(steps: readonly number[]): number {
  return Math.min(...steps.map((step, i) => Math.log10((steps[i + 1] ?? 10) / step)))
}

/** Drops ticks of many decades until the rest are far enough apart. */
function everyOther(ticks: number[], perDecade: number, gap: number): number[] {
  const [first, second] = ticks
  if (first === undefined || second === undefined || Math.log10(second / first) * perDecade >= gap) return ticks
  return everyOther(
    ticks.filter((_, i) => i % 2 === 0),
    perDecade,
    gap,
  )
}

/** Probabilities for labels of a logit axis, at least `gap` pixels apart. */
export function logitTicks([low, high]: readonly [number, number], pixels: number, gap: number): number[] {
  const small = [0.000001, 0.00001, 0.0001, 0.001, 0.01, 0.1]
  const wanted = [0.5, ...small.toReversed(), 0.9, 0.99, 0.999, 0.9999, 0.03, 0.3, 0.7, 0.003, 0.0003]
  const chosen: number[] = []
  const position = (probability: number) => ((logit(probability) - low) / (high - low)) * pixels
  for (const probability of wanted) {
    const at = position(probability)
    if (at < -0.5 || at > pixels + 0.5) continue
    if (chosen.every((other) => Math.abs(position(other) - at) >= gap)) chosen.push(probability)
  }
  return chosen.sort((a, b) => a - b)
}

/** The measured error beside the range that perfect calibration would give; undefined where either is unknown. */
export function eceChart({ name, ece_measured: measured, ece_perfect: perfect }: TaskEvaluation): Chart | undefined {
  if (measured === null || perfect === undefined) return undefined
  const most = Math.max(measured, perfect.high) * 1.1 || 1
  const axis = { title: 'Expected calibration error, measured', tickCount: 4, labelExpr: decimalLabels(), grid: false }
  const x = quantity([0, most], axis)
  const spec = frame({
    height: 26,
    left: 16,
    top: 30,
    layer: [
      {
        data: { values: [perfect] },
        mark: rangeMark,
        encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y: { value: 5 }, y2: { value: 21 } },
      },
      { data: { values: [{ measured }] }, mark: point, encoding: { x: { ...x, field: 'measured' }, y: { value: 13 } } },
      ...legend([
        { text: 'measured', mark: point },
        { text: 'if calibration were perfect', mark: square({ ...rangeMark, strokeWidth: 1 }) },
      ]),
    ],
  })
  const [at, low, high] = [measured, perfect.low, perfect.high].map((value) => decimal(value, digits.ece))
  return { spec, words: `Calibration error of ${name}: measured ${at}; perfect calibration gives ${low} to ${high}` }
}

const point = dot(90)
const rangeMark = { type: 'rect', fill: colours.pale, stroke: colours.paleLine }

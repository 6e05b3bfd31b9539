import type { ReliabilityBin, TaskEvaluation } from '../../../schemas/evaluation.ts'
import { percent } from '../base/numbers.ts'
import type { Chart } from './draw.ts'
import { limits, logarithmicTicks, needsLogarithm } from './probability-axis.ts'
import {
  colours,
  frame,
  type Key,
  type Layer,
  legend,
  linearTicks,
  percentLabels,
  plotWidth,
  titleAbove,
} from './theme.ts'

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
  const channel = (title: string, gap: number) => ({
    type: 'quantitative',
    scale: { type: logarithmic ? 'log' : 'linear', domain, nice: false, zero: false },
    axis: {
      title,
      labelExpr: percentLabels,
      ...(logarithmic ? { values: logarithmicTicks(domain, pixels, gap) } : { values: linearTicks(domain[1], 5) }),
    },
  })
  const x = channel('Mean prediction of the bin', 50)
  const y = channel('Observed share of positives', 34)
  const axes = { x, y: { ...y, axis: { ...y.axis, ...titleAbove(left) } } }
  const spec = frame({
    height: pixels,
    left,
    top: 54,
    layer: [
      {
        data: { values: domain.map((at) => ({ x: at, y: at })) },
        mark: { type: 'line', color: colours.muted, strokeDash: [4, 4], strokeWidth: 1 },
        encoding: { x: { field: 'x', ...axes.x }, y: { field: 'y', ...axes.y } },
      },
      ...series(uncalibrated, domain, axes, uncalibratedMark, { color: colours.second, strokeDash: [2, 2] }),
      ...series(served, domain, axes, servedMark, { color: colours.first, strokeWidth: 2 }),
      ...legend(keys, -38, -left + 4),
    ],
  })
  return { spec, words: words(name, served) }
}

const servedMark = { type: 'point', shape: 'circle', filled: true, color: colours.first, opacity: 1, size: 46 }
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

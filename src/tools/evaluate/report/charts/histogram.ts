import { logit } from '../../../../model/quality/metrics.ts'
import type { TaskEvaluation } from '../../../../schemas/evaluation.ts'
import {
  type Chart,
  colours,
  frame,
  type Layer,
  legend,
  linearTicks,
  percentLabels,
  plotWidth,
  quantity,
  square,
  titleAbove,
} from './draw.ts'
import { logitTicks } from './reliability.ts'

const left = 56

/** Predictions of the negative and the positive rows, over equal steps of the logit; undefined without rows. */
export function histogramChart({ name, histogram }: TaskEvaluation): Chart | undefined {
  const { negatives, positives } = histogram
  const edges = finiteLogits(histogram.edges)
  if (edges.length < 2) return undefined
  const domain: [number, number] = [edges[0]!, edges.at(-1)!]
  const pixels = plotWidth(left)
  const ticks = logitTicks(domain, pixels, 52)
  const label = `1 / (1 + exp(-datum.value))`
  const labelExpr = percentLabels.replace('datum.value', `(${label})`)
  const x = {
    field: 'from',
    ...quantity(domain, { title: 'Prediction', values: ticks.map(logit), grid: false, labelExpr }),
  }
  const most = Math.max(...negatives, ...positives) * 1.05 || 1
  const shares = { title: 'Share of the rows of each kind', values: linearTicks(most, 5), labelExpr: percentLabels }
  const y = { field: 'share', ...quantity([0, most], { ...shares, ...titleAbove(left) }) }
  const bars = negatives.map((share, i) => ({ from: edges[i], to: edges[i + 1], share }))
  const kinds = [
    { text: 'negative rows', mark: square({ ...negativeMark, strokeWidth: 1 }), shares: negatives },
    { text: 'positive rows', mark: positiveKey, shares: positives },
  ].filter(({ shares }) => shares.some((share) => share > 0))
  const hasPositives = kinds.some(({ shares }) => shares === positives)
  // The outline begins and ends on the axis.
  const outline = [
    { from: edges[0], share: 0 },
    ...positives.map((share, i) => ({ from: edges[i], share })),
    { from: edges.at(-1), share: positives.at(-1) },
    { from: edges.at(-1), share: 0 },
  ]
  const layer: Layer[] = [
    { data: { values: bars }, mark: negativeMark, encoding: { x, x2: { field: 'to' }, y, y2: { datum: 0 } } },
    ...(hasPositives
      ? [{ data: { values: outline }, mark: positiveMark, encoding: { x, y, order: { value: 0 } } }]
      : []),
    ...legend(kinds, -38, -left + 4),
  ]
  const spec = frame({ height: pixels, left, top: 54, layer })
  const words = kinds.map(({ text, shares }) => `${mode(histogram, shares)} among the ${text}`)
  return { spec, words: `Predictions of ${name}: the most frequent are ${words.join(', ')}` }
}

const negativeMark = { type: 'rect', fill: colours.pale, stroke: colours.paleLine, strokeWidth: 0.5 }
const positiveMark = { type: 'line', interpolate: 'step-after', color: colours.second, strokeWidth: 2 }
const positiveKey = { type: 'point', shape: 'stroke', color: colours.second, strokeWidth: 2, opacity: 1, size: 160 }

/** Finite logits of probabilities that may begin at 0 and end at 1. */
function finiteLogits(edges: readonly number[]): number[] {
  const logits = edges.map(logit)
  const inner = logits.filter(Number.isFinite)
  const step = inner.length > 1 ? inner[1]! - inner[0]! : 1
  return logits.map((value) => {
    if (Number.isFinite(value)) return value
    return value < 0 ? (inner[0] ?? 0) - step : (inner.at(-1) ?? 0) + step
  })
}

function mode({ edges }: TaskEvaluation['histogram'], shares: readonly number[]): string {
  const bin = shares.indexOf(Math.max(...shares))
  const [from, to] = [edges[bin]!, edges[bin + 1]!].map((edge) => Number((edge * 100).toPrecision(2)))
  return `${from} to ${to} %`
}

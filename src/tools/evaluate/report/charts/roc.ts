import type { TaskEvaluation } from '../../../../schemas/evaluation.ts'
import { decimal, digits } from '../base/numbers.ts'
import { type Chart, colours, frame, guide, percentLabels, plotWidth, titleAbove } from './draw.ts'

const left = 56

/** More points than this are no longer seen. */
const mostPoints = 200

/** The curve above its diagonal. */
export function rocChart({ name, roc, metrics }: TaskEvaluation): Chart {
  const step = Math.max(1, Math.ceil(roc.fpr.length / mostPoints))
  const points = roc.fpr
    .map((fpr, i) => ({ fpr, tpr: roc.tpr[i]! }))
    .filter((_, i) => i % step === 0 || i === roc.fpr.length - 1)
  const axis = { values: [0, 0.25, 0.5, 0.75, 1], labelExpr: percentLabels }
  const x = {
    field: 'fpr',
    type: 'quantitative',
    axis: { ...axis, title: 'False positives: share of the negative rows' },
  }
  const y = {
    field: 'tpr',
    type: 'quantitative',
    axis: { ...axis, title: 'True positives: share of the positive rows', ...titleAbove(left) },
  }
  const encoding = { x, y }
  const spec = frame({
    height: plotWidth(left),
    left,
    top: 30,
    layer: [
      {
        data: { values: [0, 1].map((rate) => ({ fpr: rate, tpr: rate })) },
        mark: guide,
        encoding,
      },
      {
        data: { values: [{ fpr: 0.62, tpr: 0.6 }] },
        mark: { type: 'text', align: 'left', baseline: 'top', text: 'no skill', fill: colours.muted },
        encoding,
      },
      { data: { values: points }, mark: { type: 'line', color: colours.first, strokeWidth: 2 }, encoding },
    ],
  })
  return { spec, words: `ROC curve of ${name}: AUC ${decimal(metrics.auc.value, digits.auc)}` }
}

import type { TaskEvaluation } from '../../../schemas/evaluation.ts'
import { decimal, digits } from '../base/numbers.ts'
import type { Chart } from './draw.ts'
import { colours, decimalLabels, frame, legend } from './theme.ts'

/** The measured error beside the range that perfect calibration would give; undefined where either is unknown. */
export function eceChart({ name, ece_measured: measured, ece_perfect: perfect }: TaskEvaluation): Chart | undefined {
  if (measured === null || perfect === undefined) return undefined
  const most = Math.max(measured, perfect.high) * 1.1 || 1
  const x = {
    type: 'quantitative',
    scale: { domain: [0, most], nice: false },
    axis: { title: 'Expected calibration error, measured', tickCount: 4, labelExpr: decimalLabels(), grid: false },
  }
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
        { text: 'if calibration were perfect', mark: rangeKey },
      ]),
    ],
  })
  const [at, low, high] = [measured, perfect.low, perfect.high].map((value) => decimal(value, digits.ece))
  return { spec, words: `Calibration error of ${name}: measured ${at}; perfect calibration gives ${low} to ${high}` }
}

const point = { type: 'point', shape: 'circle', filled: true, color: colours.first, opacity: 1, size: 90 }
const rangeMark = { type: 'rect', fill: colours.pale, stroke: colours.paleLine }
const rangeKey = { ...rangeMark, type: 'point', shape: 'square', filled: true, strokeWidth: 1, opacity: 1, size: 120 }

import type { Epoch } from '../../../../schemas/evaluation.ts'
import { decimal, digits } from '../base/numbers.ts'
import { type Chart, colours, dot, frame, type Layer, legend, quantity, titleAbove, valueLabels } from './draw.ts'

const left = 56
const height = 180

interface Line {
  values: { epoch: number; value: number }[]
  marks: { line: object; point: object }
}

/** Loss of the steps and of the validation rows by epoch. */
export function lossChart(history: readonly Epoch[]): Chart {
  const loss = history.map(({ epoch, loss }) => ({ epoch, value: loss }))
  const validation = known(history, (epoch) => epoch.validation_loss)
  const lines = [
    { values: loss, marks: first },
    ...(validation.length > 0 ? [{ values: validation, marks: second }] : []),
  ]
  const keys = legend(
    [
      { text: 'training steps', mark: first.point },
      ...(validation.length > 0 ? [{ text: 'validation rows', mark: second.point }] : []),
    ],
    -38,
    4 - left,
  )
  const end = ({ values }: { values: Line['values'] }) =>
    `${decimal(values[0]?.value, 4)} in epoch ${values[0]?.epoch}, ${decimal(values.at(-1)?.value, 4)} in epoch ${values.at(-1)?.epoch}`
  const onValidation = validation.length > 0 ? `; of the validation rows ${end({ values: validation })}` : ''
  return {
    spec: lineChart('Loss', lines, keys),
    words: `Loss by epoch: of the training steps ${end({ values: loss })}${onValidation}`,
  }
}

/** AUC of a task on the validation rows by epoch; undefined where no epoch has one. */
export function aucChart(history: readonly Epoch[], task: string): Chart | undefined {
  const values = known(history, ({ auc }) => auc[task])
  if (values.length === 0) return undefined
  const words = values.map(({ epoch, value }) => `epoch ${epoch} ${decimal(value, digits.auc)}`)
  return { spec: lineChart('AUC', [{ values, marks: first }]), words: `AUC of ${task}: ${words.join(', ')}` }
}

function known(history: readonly Epoch[], read: (epoch: Epoch) => number | null | undefined) {
  return history.flatMap((epoch) => {
    const value = read(epoch)
    return typeof value === 'number' ? [{ epoch: epoch.epoch, value }] : []
  })
}

function lineChart(title: string, lines: readonly Line[], keys: Layer[] = []) {
  const all = lines.flatMap(({ values }) => values)
  const highest = Math.max(...all.map(({ value }) => value))
  const lowest = Math.min(...all.map(({ value }) => value))
  const margin = (highest - lowest) * 0.08 || Math.abs(highest) * 0.05 || 1
  const epochs = all.map(({ epoch }) => epoch)
  const [xAxis, yAxis] = [
    { title: 'Epoch', tickMinStep: 1, tickCount: 6, format: 'd', grid: false },
    { title, tickCount: 4, labelExpr: valueLabels, ...titleAbove(left) },
  ]
  const x = { field: 'epoch', ...quantity([Math.min(...epochs), Math.max(...epochs)], xAxis) }
  const y = { field: 'value', ...quantity([lowest - margin, highest + margin], yAxis) }
  const layer = lines.flatMap(({ values, marks }) => [
    { data: { values }, mark: marks.line, encoding: { x, y } },
    { data: { values }, mark: marks.point, encoding: { x, y } },
  ])
  return frame({ height, left, top: keys.length > 0 ? 54 : 30, layer: [...layer, ...keys] })
}

const first = {
  line: { type: 'line', color: colours.first, strokeWidth: 2 },
  point: dot(40),
}
const second = {
  line: { type: 'line', color: colours.second, strokeWidth: 2, strokeDash: [5, 3] },
  point: {
    type: 'point',
    shape: 'square',
    filled: false,
    fill: colours.paper,
    color: colours.second,
    opacity: 1,
    size: 40,
    strokeWidth: 1.5,
  },
}

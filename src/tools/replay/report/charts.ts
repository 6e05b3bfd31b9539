import {
  type Chart,
  colours,
  decimalLabels,
  fit,
  frame,
  type Layer,
  labelMargin,
  linearTicks,
  percentLabels,
  quantity,
  titleAbove,
} from '../../evaluate/report/charts/draw.ts'
import type { ReplayedTask } from '../describe.ts'

const left = 56
const barHeight = 22
/** The most space for labels of bars, pixels. */
const widest = 130

const mark = { type: 'rect', fill: colours.first }

/** Shares of the candidates by the difference of their logits; undefined where none differs. */
export function shiftChart({ name, histogram, logit }: ReplayedTask): Chart | undefined {
  const { edges, shares } = histogram
  if (edges.length === 0) return undefined
  const x = quantity([edges[0]!, edges.at(-1)!], {
    ...{ title: 'Δlogit: lower ←    → higher', tickCount: 5, grid: false, labelExpr: decimalLabels('+') },
  })
  const most = Math.max(...shares) * 1.05
  const axis = { title: 'Share of the candidates', values: linearTicks(most, 5), labelExpr: percentLabels }
  const y = quantity([0, most], { ...axis, ...titleAbove(left) })
  const values = shares.map((share, i) => ({ from: edges[i], to: edges[i + 1], share }))
  const layer: Layer[] = [
    {
      data: { values },
      mark,
      encoding: { x: { ...x, field: 'from' }, x2: { field: 'to' }, y: { ...y, field: 'share' }, y2: { datum: 0 } },
    },
    {
      data: { values: [{ zero: 0 }] },
      mark: { type: 'rule', color: colours.ink, strokeWidth: 1 },
      encoding: { x: { ...x, field: 'zero' } },
    },
  ]
  const [low, middle, high] = [logit['0.01'], logit['0.5'], logit['0.99']].map((value) => value!.toPrecision(2))
  const words = `Differences of the logit of ${name}: median ${middle}, nine in ten and more between ${low} and ${high}`
  return { spec: frame({ height: 180, left, top: 28, layer }), words }
}

export interface Bars {
  title: string
  rows: readonly { label: string; value: number }[]
  /** Whether values have a sign. */
  signed: boolean
  /** Begins the words for people who do not see it. */
  words: string
}

/** One bar per row, from 0. */
export function barChart({ title, rows, signed, words }: Bars): Chart {
  const left = labelMargin(
    rows.map(({ label }) => label),
    widest,
  )
  const values = rows.map(({ label, value }, row) => ({
    ...{ label: fit(label, widest), value, zero: 0 },
    ...{ top: row * barHeight + 4, bottom: (row + 1) * barHeight - 4, middle: (row + 0.5) * barHeight },
  }))
  const height = rows.length * barHeight
  const most = Math.max(...rows.map(({ value }) => Math.abs(value))) * 1.1 || 1
  const x = quantity([signed ? -most : 0, most], { title, tickCount: 4, labelExpr: decimalLabels(signed ? '+' : '') })
  const y = quantity([height, 0], null)
  const layer: Layer[] = [
    {
      data: { values },
      mark,
      encoding: {
        x: { ...x, field: 'zero' },
        x2: { field: 'value' },
        y: { ...y, field: 'top' },
        y2: { field: 'bottom' },
      },
    },
    {
      data: { values },
      mark: { type: 'text', align: 'right', baseline: 'middle' },
      encoding: { x: { value: -8 }, y: { ...y, field: 'middle' }, text: { field: 'label' } },
    },
    {
      data: { values: [{ zero: 0 }] },
      mark: { type: 'rule', color: colours.ink, strokeWidth: 1 },
      encoding: { x: { ...x, field: 'zero' } },
    },
  ]
  const parts = rows.map(({ label, value }) => `${label} ${value.toPrecision(2)}`)
  return { spec: frame({ height, left, layer }), words: `${words}: ${parts.join('; ')}` }
}

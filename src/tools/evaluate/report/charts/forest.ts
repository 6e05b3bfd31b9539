import type { Comparison, Difference, Estimate, MetricName } from '../../../../schemas/comparison.ts'
import { html, type Markup } from '../base/html.ts'
import { digits, interval, signedInterval, titles } from '../base/numbers.ts'
import { type Chart, colours, decimalLabels, fit, frame, type Layer, labelMargin, quantity } from './draw.ts'

const rowHeight = 28

/** The most space for names of tasks, pixels. */
const widest = 120

/** Differences of one metric, one row per task. Undefined where no task has one. */
export function forestChart({ tasks }: Comparison, metric: MetricName | 'gauc'): Chart | undefined {
  const rows = tasks.flatMap((task) => {
    const difference = metric === 'gauc' ? task.gauc : task.metrics[metric]
    const { value = null } = difference?.difference ?? {}
    return difference && value !== null ? [{ name: task.name, difference, value }] : []
  })
  if (rows.length === 0) return undefined
  const left = labelMargin(
    rows.map(({ name }) => name),
    widest,
  )
  const values = rows.map(({ name, difference, value }, row) => ({
    label: fit(name, widest),
    value,
    low: difference.difference.low ?? value,
    high: difference.difference.high ?? value,
    y: (row + 0.5) * rowHeight,
    shown: shows(difference, metric),
  }))
  const most = Math.max(...values.flatMap(({ low, high, value }) => [low, high, value].map(Math.abs))) * 1.1 || 1
  const x = quantity([-most, most], { title: axisTitle(metric), tickCount: 4, labelExpr: decimalLabels('+') })
  const y = { field: 'y', ...quantity([rows.length * rowHeight, 0], null) }
  const layer: Layer[] = [
    {
      data: { values: [{ zero: 0 }] },
      mark: { type: 'rule', color: colours.ink, strokeWidth: 1 },
      encoding: { x: { ...x, field: 'zero' } },
    },
    {
      data: { values },
      mark: { type: 'text', align: 'right', baseline: 'middle' },
      encoding: { x: { value: -8 }, y, text: { field: 'label' } },
    },
    ...(Object.keys(looks) as Shown[]).flatMap((shown) => {
      const data = { values: values.filter((row) => row.shown === shown) }
      if (data.values.length === 0) return []
      const { rule, point } = looks[shown]
      return [
        { data, mark: rule, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y } },
        { data, mark: point, encoding: { x: { ...x, field: 'value' }, y } },
      ]
    }),
  ]
  const spec = frame({ height: rows.length * rowHeight, left, top: 6, layer })
  const words = rows.map(({ name, difference }) => `${name} ${signedInterval(difference.difference, digits[metric])}`)
  return { spec, words: `Difference of ${titles[metric]}: ${words.join('; ')}` }
}

export type Shown = 'better' | 'worse' | 'neither'

/** Whether the interval of a difference shows an improvement, the opposite or neither. */
export function shows({ difference: { low, high } }: Difference, metric: MetricName | 'gauc'): Shown {
  if (low === null || high === null || (low <= 0 && high >= 0)) return 'neither'
  return low > 0 === higherIsBetter(metric) ? 'better' : 'worse'
}

export const higherIsBetter = (metric: MetricName | 'gauc') => metric === 'auc' || metric === 'gauc'

function axisTitle(metric: MetricName | 'gauc'): string {
  return higherIsBetter(metric) ? 'worse ←    → better' : 'better ←    → worse'
}

const looks: Record<Shown, { rule: object; point: object }> = {
  better: look(colours.first, { shape: 'circle', filled: true, color: colours.first }),
  worse: look(colours.second, { shape: 'square', filled: true, color: colours.second }),
  neither: look(colours.muted, { shape: 'circle', stroke: colours.muted, fill: colours.paper, strokeWidth: 1.5 }),
}

function look(color: string, point: object) {
  return {
    rule: { type: 'rule', color, strokeWidth: 2 },
    point: { type: 'point', opacity: 1, size: 70, ...point },
  }
}

/*
 * Intervals of the calibration ratio in the cells of a table, and their common axis for its header. They are a few
 * marks each, of hundreds of rows: written here rather than drawn by vega.
 */

const width = 136
const height = 18
const margin = 18

/** Factors at which an axis can end. */
const ends = [1.1, 1.25, 1.5, 2, 3, 4]

/**
 * The end of an axis for these ratios and their intervals, which goes from 1 ÷ end to end, logarithmically; what lies
 * far outside is marked at the edge.
 */
export function ratioEnd(estimates: readonly Estimate[]): number {
  const distances = estimates
    .flatMap(({ low, value, high }) => [value, low, high])
    .filter((ratio) => ratio !== null && ratio > 0)
    .map((ratio) => Math.exp(Math.abs(Math.log(ratio!))))
    .sort((a, b) => a - b)
  // One interval of a tiny slice must not squeeze the others.
  const wanted = distances[Math.floor((distances.length - 1) * 0.95)] ?? 1
  return ends.find((end) => end >= wanted) ?? ends.at(-1)!
}

export function ratioAxis(end: number): Markup {
  const low = String(Number((1 / end).toFixed(2))).replace(/^0/, '')
  const label = (at: number, text: string) =>
    html`<text x="${at}" y="13" text-anchor="middle" font-size="12">${text}</text>`
  return svg(
    `Axis from ${low} to ${end}`,
    html`${label(margin, low)}${label(width / 2, '1')}${label(width - margin, String(end))}`,
  )
}

export function ratioStrip(estimate: Estimate, end: number): Markup | undefined {
  const { value, low, high } = estimate
  if (value === null) return undefined
  const x = (ratio: number) => place(ratio, end)
  const [from, to] = [x(low ?? value), x(high ?? value)]
  const off = (low !== null && low > 1) || (high !== null && high < 1)
  const middle = height / 2
  return svg(
    interval(estimate, 3),
    html`<line class="one" x1="${width / 2}" x2="${width / 2}" y1="0" y2="${height}"/><line class="${off ? 'off' : 'on'}" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>${marker(value, end, off)}`,
  )
}

/** A dot, hollow where the interval includes 1; an arrow at the edge for a ratio beyond it. */
function marker(value: number, end: number, off: boolean): Markup {
  const at = place(value, end)
  const middle = height / 2
  const kind = off ? 'off' : 'on'
  const logarithm = Math.log(value) / Math.log(end)
  if (Math.abs(logarithm) <= 1.1) return html`<circle class="${kind}" cx="${at}" cy="${middle}" r="4"/>`
  const tip = logarithm < 0 ? at - 8 : at + 8
  return html`<path class="${kind}" d="M${tip} ${middle}L${at} ${middle - 5}V${middle + 5}Z"/>`
}

function place(ratio: number, end: number): number {
  const logarithm = Math.max(-1.1, Math.min(1.1, Math.log(ratio) / Math.log(end)))
  return Number((width / 2 + logarithm * (width / 2 - margin)).toFixed(1))
}

const svg = (words: string, content: Markup) =>
  html`<svg role="img" aria-label="${words}" class="strip" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${content}</svg>`

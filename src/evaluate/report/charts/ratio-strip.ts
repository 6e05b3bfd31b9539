import type { Estimate } from '../../../schemas/comparison.ts'
import { html, type Markup } from '../base/html.ts'
import { interval } from '../base/numbers.ts'

/*
 * Intervals of the calibration ratio in the cells of a table, and their common axis for its header. They are a few marks each, of
 * hundreds of rows: written here rather than drawn by vega.
 */

const width = 136
const height = 18
const margin = 18

/** Factors at which an axis can end. */
const ends = [1.1, 1.25, 1.5, 2, 3, 4]

export interface RatioScale {
  /** The axis goes from 1 ÷ end to end, logarithmically. */
  end: number
}

/** A scale for these ratios and their intervals; what lies far outside is marked at the edge. */
export function ratioScale(estimates: readonly Estimate[]): RatioScale {
  const distances = estimates
    .flatMap(({ low, value, high }) => [value, low, high])
    .filter((ratio) => ratio !== null && ratio > 0)
    .map((ratio) => Math.exp(Math.abs(Math.log(ratio!))))
    .sort((a, b) => a - b)
  // One interval of a tiny slice must not squeeze the others.
  const wanted = distances[Math.floor((distances.length - 1) * 0.95)] ?? 1
  return { end: ends.find((end) => end >= wanted) ?? ends.at(-1)! }
}

export function ratioAxis(scale: RatioScale): Markup {
  const low = String(Number((1 / scale.end).toFixed(2))).replace(/^0/, '')
  const label = (at: number, text: string) =>
    html`<text x="${at}" y="13" text-anchor="middle" font-size="12">${text}</text>`
  return svg(
    `Axis from ${low} to ${scale.end}`,
    html`${label(margin, low)}${label(width / 2, '1')}${label(width - margin, String(scale.end))}`,
  )
}

export function ratioStrip(estimate: Estimate, scale: RatioScale): Markup | undefined {
  const { value, low, high } = estimate
  if (value === null) return undefined
  const x = (ratio: number) => place(ratio, scale)
  const [from, to] = [x(low ?? value), x(high ?? value)]
  const off = (low !== null && low > 1) || (high !== null && high < 1)
  const middle = height / 2
  return svg(
    interval(estimate, 3),
    html`<line class="one" x1="${width / 2}" x2="${width / 2}" y1="0" y2="${height}"/><line class="${off ? 'off' : 'on'}" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>${marker(value, scale, off)}`,
  )
}

/** A dot, hollow where the interval includes 1; an arrow at the edge for a ratio beyond it. */
function marker(value: number, scale: RatioScale, off: boolean): Markup {
  const at = place(value, scale)
  const middle = height / 2
  const kind = off ? 'off' : 'on'
  const logarithm = Math.log(value) / Math.log(scale.end)
  if (Math.abs(logarithm) <= 1.1) return html`<circle class="${kind}" cx="${at}" cy="${middle}" r="4"/>`
  const tip = logarithm < 0 ? at - 8 : at + 8
  return html`<path class="${kind}" d="M${tip} ${middle}L${at} ${middle - 5}V${middle + 5}Z"/>`
}

function place(ratio: number, { end }: RatioScale): number {
  const logarithm = Math.max(-1.1, Math.min(1.1, Math.log(ratio) / Math.log(end)))
  return Number((width / 2 + logarithm * (width / 2 - margin)).toFixed(1))
}

const svg = (words: string, content: Markup) =>
  html`<svg role="img" aria-label="${words}" class="strip" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${content}</svg>`

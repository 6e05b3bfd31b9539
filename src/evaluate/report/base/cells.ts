import { type Estimate, type MetricName, type Metrics, metricNames } from '../../../schemas/comparison.ts'
import { type Content, html, type Markup } from './html.ts'
import { digits, plainValue, range, signedRange, signedValue, titles } from './numbers.ts'
import type { Column } from './table.ts'

/** A value with its interval beneath. */
export function estimateCell(estimate: Estimate, decimals: number): Markup {
  return stacked(plainValue(estimate, decimals), range(estimate, decimals))
}

/** A difference with its interval beneath. */
export function differenceCell(estimate: Estimate, decimals: number): Markup {
  return stacked(signedValue(estimate, decimals), signedRange(estimate, decimals))
}

function stacked(value: Content, below: string | undefined): Markup {
  return html`${value}${below !== undefined && html` <span class="ci">${below}</span>`}`
}

export const metricColumns: Column[] = metricNames.map((metric) => ({ title: titles[metric], end: true }))

/** All metrics in the order of `metricColumns`. */
export const metricCells = (metrics: Metrics): Markup[] =>
  metricNames.map((metric: MetricName) => estimateCell(metrics[metric], digits[metric]))

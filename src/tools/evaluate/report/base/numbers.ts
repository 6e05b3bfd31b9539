import type { Estimate, MetricName } from '../../../../schemas/comparison.ts'

/** Decimals of each metric. */
export const digits: Record<MetricName | 'gauc', number> = {
  auc: 4,
  logloss: 5,
  normalised_entropy: 4,
  calibration_ratio: 3,
  ece: 5,
  gauc: 4,
}

/** How people call each metric. */
export const titles: Record<MetricName | 'gauc', string> = {
  auc: 'AUC',
  logloss: 'Log-loss',
  normalised_entropy: 'NE',
  calibration_ratio: 'Calibration ratio',
  ece: 'ECE',
  gauc: 'GAUC',
}

const undefinedValue = '–'

/**
 * `.7902`, `1.021`, `−.0031`: without the zero before the point. Values that the decimals would hide have two
 * significant digits.
 */
export function decimal(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined) return undefinedValue
  return fixed(value, enough(value, decimals))
}

/** `(.7841 … .7963)`; undefined where there is no interval. */
export function range(estimate: Estimate, decimals: number, format = fixed): string | undefined {
  const { low, high } = estimate
  if (low === null || high === null) return undefined
  const shown = decimalsOf(estimate, decimals)
  return `(${format(low, shown)} … ${format(high, shown)})`
}

/** `(+.0012 … +.0050)`. */
export const signedRange = (estimate: Estimate, decimals: number) => range(estimate, decimals, withSign)

/** The value of an estimate: as many decimals as its interval. */
export function plainValue(estimate: Estimate, decimals: number, format = fixed): string {
  return estimate.value === null ? undefinedValue : format(estimate.value, decimalsOf(estimate, decimals))
}

/** `+.0031`. */
export const signedValue = (estimate: Estimate, decimals: number) => plainValue(estimate, decimals, withSign)

/** `.7902 (.7841 … .7963)`. */
export const interval = (estimate: Estimate, decimals: number) =>
  joined(plainValue(estimate, decimals), range(estimate, decimals))

/** `+.0031 (+.0012 … +.0050)`. */
export const signedInterval = (estimate: Estimate, decimals: number) =>
  joined(signedValue(estimate, decimals), signedRange(estimate, decimals))

const joined = (value: string, range: string | undefined) => (range === undefined ? value : `${value} ${range}`)

/** `2.10 %` for .021: three significant digits, at most four decimals. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return undefinedValue
  const value = Math.abs(share * 100)
  const decimals = value === 0 ? 0 : Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(value))))
  return `${minus(share)}${value.toFixed(decimals)}\u00a0%`
}

/** `2025-03-04 09:30 UTC` of an ISO 8601 time. */
export function time(text: string): string {
  const [, day, minute] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z$/.exec(text) ?? []
  return day === undefined ? text : `${day} ${minute} UTC`
}

/** `12,345`. */
export const count = (value: number) => value.toLocaleString('en')

/** With exactly these decimals; whatever rounds to nothing is 0. */
export function fixed(value: number, decimals: number): string {
  if (value === 0) return '0'
  const text = Math.abs(value).toFixed(decimals)
  if (Number(text) === 0) return '0'
  return `${minus(value)}${text.replace(/^0\./, '.')}`
}

const minus = (value: number) => (value < 0 ? '−' : '')

function withSign(value: number, decimals: number): string {
  const text = fixed(value, decimals)
  return value > 0 && text !== '0' ? `+${text}` : text
}

/** The largest of the three decides: digits far below the width of the interval mean nothing. */
function decimalsOf({ value, low, high }: Estimate, decimals: number): number {
  return enough(Math.max(...[value, low, high].map((part) => Math.abs(part ?? 0))), decimals)
}

function enough(value: number, decimals: number): number {
  if (value === 0) return decimals
  return Math.max(decimals, Math.min(9, 1 - Math.floor(Math.log10(Math.abs(value)))))
}

import type { Estimate, MetricName } from '../../../schemas/evaluation.ts'

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

/** `.7902`, `1.021`, `−.0031`: without the zero before the point. Values that the decimals would hide have two significant digits. */
export function decimal(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined) return undefinedValue
  return fixed(value, enough(value, decimals))
}

/** `+.0031`. */
export function signed(value: number | null | undefined, decimals: number): string {
  const text = decimal(value, decimals)
  return typeof value === 'number' && value > 0 ? `+${text}` : text
}

/** `(.7841 … .7963)`; undefined where there is no interval. */
export function range({ value, low, high }: Estimate, decimals: number, format = fixed): string | undefined {
  if (low === null || high === null) return undefined
  const shown = enough(value ?? 0, decimals)
  return `(${format(low, shown)} … ${format(high, shown)})`
}

/** `.7902 (.7841 … .7963)`. */
export function interval(estimate: Estimate, decimals: number): string {
  return [decimal(estimate.value, decimals), range(estimate, decimals)].filter((part) => part !== undefined).join(' ')
}

/** `(+.0012 … +.0050)`. */
export function signedRange(estimate: Estimate, decimals: number): string | undefined {
  return range(estimate, decimals, (value, shown) => {
    const text = fixed(value, shown)
    return value > 0 && text !== '0' ? `+${text}` : text
  })
}

/** `+.0031 (+.0012 … +.0050)`. */
export function signedInterval(estimate: Estimate, decimals: number): string {
  return [signed(estimate.value, decimals), signedRange(estimate, decimals)]
    .filter((part) => part !== undefined)
    .join(' ')
}

/** `2.1 %` for .021: three significant digits, at most four decimals. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return undefinedValue
  const value = Math.abs(share * 100)
  const decimals = value === 0 ? 0 : Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(value))))
  return `${minus(share)}${Number(value.toFixed(decimals))}\u00a0%`
}

/** `12,345`. */
export const count = (value: number) => value.toLocaleString('en')

/** `1 row`, `2,000 rows`. */
export const counted = (value: number, one: string, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`

/** With exactly these decimals; whatever rounds to nothing is 0. */
function fixed(value: number, decimals: number): string {
  if (value === 0) return '0'
  const text = Math.abs(value).toFixed(decimals)
  if (Number(text) === 0) return '0'
  return `${minus(value)}${text.replace(/^0\./, '.')}`
}

const minus = (value: number) => (value < 0 ? '−' : '')

function enough(value: number, decimals: number): number {
  if (value === 0) return decimals
  return Math.max(decimals, Math.min(9, 1 - Math.floor(Math.log10(Math.abs(value)))))
}

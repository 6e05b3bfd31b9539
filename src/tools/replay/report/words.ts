import { fixed } from '../../evaluate/report/base/numbers.ts'
import type { ReplayReport } from '../describe.ts'

/** The versions that answers are compared with, for people. */
export const beforeOf = ({ before }: Pick<ReplayReport, 'before'>): string => before ?? 'the recorded answers'

/** Three significant digits; `–` for none. */
export function plain(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const decimals = value === 0 ? 0 : Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))))
  return fixed(value, decimals)
}

/** With its sign. */
export const signed = (value: number | null | undefined): string =>
  value !== null && value !== undefined && value > 0 ? `+${plain(value)}` : plain(value)

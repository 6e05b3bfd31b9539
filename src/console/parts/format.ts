import { valueFor } from '../../base/maps.ts'

/** Numbers, times and sizes as the reader's language writes them. */

const cached = new Map<string, Intl.NumberFormat>()

function formatter(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  return valueFor(cached, JSON.stringify(options), () => new Intl.NumberFormat(undefined, options))
}

/** `digits`: significant ones. */
export function number(value: number, digits = 3): string {
  if (Math.abs(value) >= 10 ** digits) return formatter({ maximumFractionDigits: 0 }).format(value)
  return formatter({ maximumSignificantDigits: digits }).format(value)
}

/** – where there is no value. */
export function orDash(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value)
}

/** Few decimals: 0.0067 → 0.01. */
export function short(value: number): string {
  return formatter({ maximumFractionDigits: 2 }).format(value)
}

/** `digits`: after the point, always, so that figures below each other compare. */
export function decimal(value: number, digits: number): string {
  return formatter({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value)
}

/** 12,345 → 12.3K. */
export function compact(value: number): string {
  return formatter({ notation: 'compact', maximumSignificantDigits: 3 }).format(value)
}

export function percent(share: number, digits = 3): string {
  return formatter({ style: 'percent', maximumSignificantDigits: digits }).format(share)
}

/** A probability: 0.01234 → 1.23 %, 0.001234 → 0.123 %. */
export function probability(value: number): string {
  const digits = value < 0.001 ? 4 : value < 0.01 ? 3 : 2
  return formatter({ style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value)
}

/** A difference: 1.234 → +1.23. */
export function signed(value: number, digits = 3): string {
  return formatter({ maximumSignificantDigits: digits, signDisplay: 'exceptZero' }).format(value)
}

/** The change of a probability, in percentage points: 0.012 → +1.2 pp. */
export function change(value: number): string {
  return `${signed(100 * value, 2)} pp`
}

export function milliseconds(ms: number): string {
  if (ms >= 10_000) return formatter({ style: 'unit', unit: 'second', maximumSignificantDigits: 3 }).format(ms / 1000)
  return formatter({ style: 'unit', unit: 'millisecond', maximumSignificantDigits: 3 }).format(ms)
}

const byteUnits = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

export function bytes(value: number): string {
  let scaled = value
  let unit = 0
  while (scaled >= 1000 && unit < byteUnits.length - 1) {
    scaled /= 1000
    unit++
  }
  // In short, a byte is “byte”.
  if (unit === 0) return `${number(scaled)} B`
  return formatter({ style: 'unit', unit: byteUnits[unit]!, unitDisplay: 'short', maximumSignificantDigits: 3 }).format(
    scaled,
  )
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** The time of a moment of today. */
export const time = (at: number): string => clock.format(at)
export const date = (at: number | string): string => dayAndClock.format(new Date(at))

const units: [Intl.NumberFormatOptions['unit'] & string, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
]

/** 7,512 s → 2 hr. */
export function duration(seconds: number): string {
  const [unit, length] = units.find(([, length]) => seconds >= length) ?? units.at(-1)!
  return formatter({ style: 'unit', unit, maximumFractionDigits: 0 }).format(seconds / length)
}

/** Names with commas, the first `most` of them. */
export function listed(names: readonly string[], most = 8): string {
  const rest = names.length - most
  return rest > 0 ? `${names.slice(0, most).join(', ')} and ${rest} more` : names.join(', ')
}

/** A field's default as people say it: of whole numbers, one above the largest stands for any unknown value. */
export function nameOfDefault({
  kind,
  default: value = '',
  maximum,
}: {
  kind: string
  default?: string | number | (string | number)[] | undefined
  maximum?: number | undefined
}): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `[${listed(value.map(String))}]`
  if (value === '') return 'an empty text'
  if (kind === 'integer' && maximum !== undefined && Number(value) > maximum) return 'any unknown value'
  return String(value)
}

/** The value that a record has by a name, which may be that of a property of every object, such as `constructor`. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined
}

/** Columns of a table: title → cell of a row. Trailing spaces distinguish equal titles. */
export type Columns<T> = Record<string, (row: T) => string>

/** A Markdown table; the first `left` columns are left-aligned, the others right-aligned. */
export function table<T>(columns: Columns<T>, rows: readonly T[], left = 1): string {
  const names = Object.keys(columns)
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [
    line(names.map((name) => name.trim())),
    line(names.map((_, i) => (i < left ? '---' : '--:'))),
    ...rows.map((row) => line(names.map((name) => columns[name]!(row)))),
  ].join('\n')
}

/** A table of rows that have their cells by the titles of the columns. */
export function tableOf(rows: readonly Record<string, string>[], left = 1): string {
  const columns = Object.keys(rows[0] ?? {}).map(
    (title) => [title, (row: Record<string, string>) => row[title]!] as const,
  )
  return table(Object.fromEntries(columns), rows, left)
}

/** Whole MiB. */
export const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0)

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** About three digits; – for NaN, which JSON turns into null. */
export function decimal(value: number | null): string {
  return value === null || Number.isNaN(value) ? '–' : value.toFixed(value < 10 ? 2 : 1)
}

/** One decimal below ten percent. */
export function percent(share: number): string {
  if (share === 0) return '0'
  const value = share * 100
  return `${value.toFixed(value < 10 ? 1 : 0)} %`
}

/** Goodput as a share of the closed-loop maximum, of which `rate` is `load` times as much. */
export const ofMaximum = (good: number, { seconds, rate, load }: Record<'seconds' | 'rate' | 'load', number>) =>
  good / seconds / (rate / load)

export function kilo(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}

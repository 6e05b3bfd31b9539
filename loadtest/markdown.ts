/** Columns of a table: title → the cell of a row. Titles may end in spaces, to tell two of the same name apart. */
export type Columns<T> = Record<string, (row: T) => string>

/** As Markdown: the first column to the left, the others to the right. */
export function table<T>(columns: Columns<T>, rows: readonly T[]): string {
  const names = Object.keys(columns)
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [
    line(names.map((name) => name.trim())),
    line(names.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...rows.map((row) => line(names.map((name) => columns[name]!(row)))),
  ].join('\n')
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** Three digits or so; – for none: NaN, which JSON turns into null. */
export function decimal(value: number | null): string {
  return value === null || Number.isNaN(value) ? '–' : value.toFixed(value < 10 ? 2 : 1)
}

export function kilo(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}

/** Aligns the first `left` columns to the left, the others to the right. */
export function formatTable(header: string[], rows: string[][], left = 1): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)))
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd()
  return [header, widths.map((width) => '─'.repeat(width)), ...rows].map(line).join('\n')
}

/** `12,345` for whole numbers. */
export const grouped = (value: number) => Math.round(value).toLocaleString('en')

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`
}

/** `6.0e-8`; 0 stays 0. */
export const formatError = (value: number) => (value === 0 ? '0' : value.toExponential(1))

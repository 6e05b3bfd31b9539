/** Where text goes: a standard stream, or a stand-in. */
export interface Terminal {
  isTTY?: boolean
  /** Undefined where it is not known. */
  columns?: number
  write(text: string): unknown
}

/** Replaces the line of progress on a terminal, cut to its width; an empty text clears it. */
function draw(terminal: Terminal, text: string): void {
  if (!terminal.isTTY) return
  // A longer line would be two, of which only the last is replaced.
  const room = Math.max(1, (terminal.columns || 1000) - 3)
  terminal.write(`\r\x1b[K${text === '' ? '' : `${text.slice(0, room)} …`}`)
}

/**
 * Shows one line of progress on a terminal, and for how long it has been the same, once that is more than a second;
 * each text replaces the previous one, an empty text clears it. `how`: how far it is, which may change meanwhile.
 * `every`: ms between two lines.
 */
export function showProgress(terminal: Terminal, every = 1000): (text: string, how?: string) => void {
  let timer: NodeJS.Timeout | undefined
  let ticks = 0
  let current = ''
  let line = ''
  const show = () => draw(terminal, ticks === 0 ? line : `${line}, ${secondsOf(ticks, every)}`)
  return (text, how) => {
    line = how === undefined ? text : `${text}: ${how}`
    if (text !== current || how === undefined) {
      current = text
      ticks = 0
      clearInterval(timer)
      if (terminal.isTTY && text !== '')
        timer = setInterval(() => {
          ticks++
          show()
        }, every).unref()
    }
    show()
  }
}

const secondsOf = (ticks: number, every: number) => `${Math.round((ticks * every) / 1000)} s`

/** Clears what progress a command that fails has left on a terminal. */
export function clearProgress(terminal: Terminal): void {
  draw(terminal, '')
}

/**
 * Does some work, and says on a terminal what it is and for how long it has run, once that is more than a second;
 * `every`: ms between two lines.
 */
export async function showWork<T>(terminal: Terminal, text: string, work: () => Promise<T>, every = 1000): Promise<T> {
  if (!terminal.isTTY) return work()
  let ticks = 0
  const timer = setInterval(() => draw(terminal, `${text}, ${secondsOf(++ticks, every)}`), every)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (ticks > 0) draw(terminal, '')
  }
}

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

/** `1 row`, `2,000 rows`. */
export const counted = (value: number, one: string, many = `${one}s`) => `${grouped(value)} ${value === 1 ? one : many}`

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`
}

/** `6.0e-8`; 0 stays 0. */
export const formatError = (value: number) => (value === 0 ? '0' : value.toExponential(1))

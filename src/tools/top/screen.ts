import { styleText } from 'node:util'
import { fit, type Line } from './draw.ts'

/** The terminal that is drawn on: a standard stream, or a stand-in. */
export interface ScreenOutput {
  columns?: number
  rows?: number
  write(text: string): unknown
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

export interface ScreenInput {
  setRawMode?(raw: boolean): unknown
  on(event: 'data', listener: (bytes: Buffer | string) => void): unknown
  off(event: 'data', listener: (bytes: Buffer | string) => void): unknown
  resume(): unknown
  pause(): unknown
}

/** The alternate screen, without a cursor, and without lines that wrap; and back. */
const enter = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const leave = '\u001b[?7h\u001b[?25h\u001b[?1049l'

export interface ScreenOptions {
  out: ScreenOutput
  input: ScreenInput
  colours: boolean
  /** The reader wants to leave: by q, Escape, Ctrl-C or Ctrl-D. */
  onQuit(): void
}

/** Draws in place on a terminal until it is closed, which leaves the terminal as it was. */
export class Screen {
  readonly #options: ScreenOptions
  #lines: readonly Line[] = []

  constructor(options: ScreenOptions) {
    this.#options = options
    const { out, input } = options
    out.write(enter)
    out.on('resize', this.#redraw)
    input.setRawMode?.(true)
    input.on('data', this.#key)
    input.resume()
  }

  show(lines: readonly Line[]): void {
    this.#lines = lines
    this.#redraw()
  }

  close(): void {
    const { out, input } = this.#options
    out.off('resize', this.#redraw)
    input.off('data', this.#key)
    input.setRawMode?.(false)
    input.pause()
    out.write(leave)
  }

  readonly #redraw = (): void => {
    const { out, colours } = this.#options
    const { columns = 80, rows = 24 } = out
    const body = fit(this.#lines, columns, rows - 1)
    const filled = [...body, ...Array<Line>(Math.max(0, rows - 1 - body.length)).fill({ text: '' })]
    const lines = [...filled, { text: 'q quits'.slice(0, columns), style: 'dim' as const }]
    const text = lines.map(({ text, style }) =>
      colours && style && text !== '' ? styleText(style, text, { validateStream: false }) : text,
    )
    out.write(`\u001b[H${text.map((line) => `${line}\u001b[K`).join('\r\n')}`)
  }

  readonly #key = (bytes: Buffer | string): void => {
    // Keys such as arrows begin with Escape.
    if (['q', 'Q', '\u0003', '\u0004', '\u001b'].includes(String(bytes))) this.#options.onQuit()
  }
}

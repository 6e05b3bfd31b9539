import { Presets, SingleBar } from 'cli-progress'
import type { Terminal } from '../model/base/terminal.ts'
import { grouped } from '../model/base/text-table.ts'

/** Shows how far a long command is, on a terminal alone. */
export interface Progress {
  /** A stage whose rows are counted; `total`: undefined where it is not known yet. */
  rows(stage: string, done: number, total: number | undefined): void
  /** A stage without a count. */
  stage(name: string): void
  stop(): void
}

/** A bar with rows and the remaining time for stages with a total, else a line. */
export function createProgress(terminal: Terminal): Progress {
  let bar: SingleBar | undefined
  let current = ''
  const stop = () => {
    bar?.stop()
    if (bar === undefined && current !== '') terminal.write('\r\x1b[K')
    bar = undefined
    current = ''
  }
  return {
    rows(stage, done, total) {
      if (!terminal.isTTY) return
      if (stage !== current) {
        stop()
        current = stage
      }
      if (total === undefined) terminal.write(`\r\x1b[K${stage}: ${grouped(done)} rows …`)
      else if (bar) {
        bar.setTotal(total)
        bar.update(done, { stage, rows: grouped(done) })
      } else {
        const format = '{stage} {bar} {percentage} %  {rows} rows  {eta_formatted} left'
        const stream = terminal as NodeJS.WritableStream
        const options = { stream, format, clearOnComplete: true, hideCursor: true, gracefulExit: false }
        bar = new SingleBar(options, Presets.shades_classic)
        bar.start(total, done, { stage, rows: grouped(done) })
      }
    },
    stage(name) {
      if (!terminal.isTTY) return
      stop()
      current = name
      terminal.write(`\r\x1b[K${name} …`)
    },
    stop,
  }
}

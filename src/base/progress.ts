import { Presets, SingleBar } from 'cli-progress'
import { grouped, showProgress, type Terminal } from './terminal.ts'

/** Shows how far a long command is, on a terminal alone. */
export interface Progress {
  /** A stage whose rows are counted; `total`: undefined where it is not known yet. */
  rows(stage: string, done: number, total: number | undefined): void
  /** A stage without a total; `how`: how far it is, for people. */
  stage(name: string, how?: string): void
  stop(): void
}

/** A bar with rows and the remaining time for stages with a total, else a line. */
export function createProgress(terminal: Terminal): Progress {
  const show = showProgress(terminal)
  let bar: SingleBar | undefined
  let current = ''
  const stop = () => {
    bar?.stop()
    if (bar === undefined && current !== '') show('')
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
      if (total === undefined) show(`${stage}: ${grouped(done)} rows`)
      else if (bar) {
        bar.setTotal(total)
        bar.update(done, { stage, rows: grouped(done) })
      } else {
        bar = createBar(terminal, '{stage} {bar} {percentage} %  {rows} rows  {eta_formatted} left')
        bar.start(total, done, { stage, rows: grouped(done) })
      }
    },
    stage(name, how) {
      if (!terminal.isTTY) return
      if (name !== current || how === undefined) stop()
      current = name
      show(name, how)
    },
    stop,
  }
}

/** A bar on a terminal, in the format of cli-progress. */
export function createBar(terminal: Terminal, format: string): SingleBar {
  const stream = terminal as NodeJS.WritableStream
  const options = { stream, format, clearOnComplete: true, hideCursor: true, gracefulExit: false }
  return new SingleBar(options, Presets.shades_classic)
}

import type { SingleBar } from 'cli-progress'
import { formatNumber } from '../evaluate/format.ts'
import { createBar } from '../evaluate/progress.ts'
import type { Terminal } from '../model/base/terminal.ts'
import type { EpochReport, FitObserver, FitResult } from './fit.ts'

/** Prints a line after each epoch; on a terminal, also shows a bar during it. */
export function createProgress(terminal: Terminal, tasks: readonly string[]): FitObserver & { stop(): void } {
  let bar: SingleBar | undefined
  const stop = () => {
    bar?.stop()
    bar = undefined
  }
  return {
    step({ epoch, epochs, rows, totalRows, loss, rowsPerSecond, secondsLeft }) {
      if (!terminal.isTTY) return
      const payload = {
        of: `${epoch}/${epochs}`,
        loss: loss.toFixed(5),
        speed: thousands(rowsPerSecond),
        left: duration(secondsLeft),
      }
      if (bar) bar.update(rows, payload)
      else {
        bar = createBar(terminal, barFormat)
        bar.start(totalRows, rows, payload)
      }
    },
    epoch(report) {
      stop()
      terminal.write(`${epochLine(report, tasks)}\n`)
    },
    stop,
  }
}

const barFormat = 'epoch {of} {bar} {percentage} %  {speed} rows/s  at most {left} left  loss {loss}'

function epochLine(report: EpochReport, tasks: readonly string[]): string {
  const { epoch, epochs, loss, validationLoss, validationAuc, selection, rowsPerSecond, best } = report
  const aucs = tasks.map((task, index) => `${task} ${formatNumber(validationAuc[index], 4)}`).join(', ')
  const mark = best ? ', best so far' : ''
  return `epoch ${epoch}/${epochs}: loss ${loss.toFixed(5)}, validation loss ${validationLoss.toFixed(5)}, validation AUC ${aucs}, ${selection.metric} ${formatNumber(selection.value, 5)}, ${thousands(rowsPerSecond)} rows/s${mark}`
}

/** `42 s`, `3 min`, `1 h 20 min` */
function duration(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

const thousands = (value: number) => Math.round(value).toLocaleString('en')

/** Which epoch's weights were kept, and why. */
export function formatKept({ epochs, kept }: FitResult): string {
  return `kept epoch ${kept.epoch} of ${epochs}, the best on the validation rows: ${kept.metric} ${formatNumber(kept.value, 5)}`
}

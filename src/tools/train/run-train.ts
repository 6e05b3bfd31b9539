import { join, resolve } from 'node:path'
import type { SingleBar } from 'cli-progress'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { existingFolder } from '../../base/files.ts'
import { murmur3 } from '../../base/hash.ts'
import { createBar, createProgress as createRowProgress } from '../../base/progress.ts'
import type { Terminal } from '../../base/terminal.ts'
import { isObject } from '../../schemas/json.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'
import { readSpec } from '../data/read-spec.ts'
import { SpecError } from '../data/source.ts'
import { formatEvaluation, formatNumber } from '../evaluate/format.ts'
import { findVersion } from '../evaluate/local-predictor.ts'
import { versionsOnDisk } from '../evaluate/next-version.ts'
import { notGoodEnough } from '../evaluate/run-evaluate.ts'
import { writeReport } from '../evaluate/session.ts'
import { continuedSpec } from './continued-spec.ts'
import type { EpochReport, FitObserver, FitResult } from './fit.ts'
import { historyFile, openRunFolder } from './run-folder.ts'

/** A run of a version in a folder of models. */
const runName = ({ name, version }: TrainSpec, models: string) =>
  `${name}-${version}-${murmur3(resolve(models), 0).toString(16)}`

/** The folder of models in the working folder, where other commands look by default. */
const usualModels = 'models'

/** Reads the spec, and the version that it goes on from: without a version of its own, it writes the next. */
async function readContinued({ spec, specs, models, from: target, force }: RunTrainOptions) {
  if (target === undefined) return { loaded: await readSpec(spec, specs), from: undefined }
  const from = await findVersion(target, ...new Set([models, usualModels]))
  let version: unknown
  const loaded = await readSpec(spec, specs, (written) => {
    if (isObject(written)) version = written.version
    return continuedSpec(written, from.manifest)
  })
  const next = await nextVersion(models, loaded.spec.name)
  if (version === undefined) loaded.spec.version = next
  else if (!force && (await versionsOnDisk(models, loaded.spec.name)).includes(String(version))) {
    const message = `${join(models, loaded.spec.name, String(version))} exists already: leave /version out to write the next, ${next}, or replace it by --force`
    throw new SpecError(loaded.file, [{ path: '/version', message }])
  }
  return { loaded, from }
}

/** The version after the highest on disk. */
async function nextVersion(models: string, name: string): Promise<number> {
  const [highest = '0'] = await versionsOnDisk(models, name)
  return Number(highest) + 1
}

/** After a failure: a run that can go on stays, what is left of another goes. */
async function leave(folder: string, log: (line: string) => void): Promise<void> {
  const run = await openRunFolder(folder)
  if (run.unfinished) log(`the run in ${folder} can go on after its last complete epoch: --resume`)
  else await run.remove()
}

/** Rejects with INVALID_REQUEST where nothing can be written to the folder that an option names. */
async function expectFolder(option: string, path: string): Promise<void> {
  await existingFolder(path).catch((cause) => {
    throw new ModelError('INVALID_REQUEST', `${option} ${path}: ${reasonOf(cause)}`, { cause })
  })
}

export interface RunTrainOptions {
  /** Path or name of the spec. */
  spec: string
  /** Folder of named specs. */
  specs: string
  /** Folder of models. */
  models: string
  force: boolean
  threads: number
  /** The version to go on from: a folder, or `<name>[/<version>]` in `models`. */
  from: string | undefined
  /** Folder of the run; undefined: one in `cache`. */
  run: string | undefined
  resume: boolean
  /** Folder for report.html and report.json. */
  report: string | undefined
  /** Judge by metrics and their intervals alone. */
  brief?: boolean
  /** Folder of compiled plans. */
  cache: string | undefined
  /** For the manifest's provenance. */
  command: string
  /** Version of multigate. */
  version: string
  now: () => number
  signal: AbortSignal
  /** Results. */
  out: Terminal
  /** Progress and notes. */
  err: Terminal
}

/**
 * `multigate train`: trains a model, writes the version and prints its report. Resolves with the exit code: that of a
 * version that does not meet its conditions, and was not written, is 3.
 */
export async function runTrain(options: RunTrainOptions): Promise<number> {
  const { models, force, brief = false, cache, command, version, now, signal, out, err } = options
  const { loaded, from } = await readContinued(options)
  const { spec } = loaded
  const folder = options.run ?? (cache && join(cache, 'runs', runName(spec, models)))
  if (folder === undefined && options.resume)
    throw new Error('there is no cache folder: name the folder of the run by --run')
  const run = folder === undefined ? undefined : await openRunFolder(folder)
  if (options.resume && !run?.unfinished) throw new ModelError('INVALID_REQUEST', `${folder} holds no unfinished run`)
  await expectFolder('--models', models)
  if (options.report !== undefined) await expectFolder('--report', options.report)
  if (options.run !== undefined) await expectFolder('--run', options.run)
  const { train } = await import('./train.ts')
  const observer = createProgress(
    err,
    spec.tasks.map(({ name }) => name),
  )
  const progress = createRowProgress(err)
  const log = (line: string) => {
    progress.stop()
    err.write(`${line}\n`)
  }
  try {
    const { report, fitted, folder } = await train(loaded, {
      models,
      threads: options.threads,
      from,
      run,
      resume: options.resume,
      force,
      brief,
      cache,
      command,
      multigateVersion: version,
      now,
      signal,
      observer,
      progress,
      log,
    })
    progress.stop()
    out.write(`${formatEvaluation(report)}\n\n${formatKept(fitted)}\n`)
    log(folder === undefined ? 'nothing was written' : `written to ${folder}`)
    if (options.report !== undefined) {
      const lines = fitted.history.map((epoch) => `${JSON.stringify(epoch)}\n`)
      const page = await writeReport(options.report, report, { [historyFile]: lines.join('') })
      log(`report written to ${page}`)
    }
    return folder === undefined ? notGoodEnough : 0
  } catch (error) {
    observer.stop()
    progress.stop()
    // A run that could not go on is unchanged.
    if (folder !== undefined && !(error instanceof ModelError)) await leave(folder, log)
    throw error
  } finally {
    observer.stop()
  }
}

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
  const { epoch, metric, value, tasks } = kept
  const which = tasks
    ? `epochs ${Object.entries(tasks)
        .map(([task, own]) => `${own} of ${task}`)
        .join(', ')}`
    : `epoch ${epoch} of ${epochs}`
  return `kept ${which}, the best on the validation rows: ${metric} ${formatNumber(value, 5)}`
}

import { readSpec } from '../data/read-spec.ts'
import { formatEvaluation } from '../evaluate/format.ts'
import { notGoodEnough } from '../evaluate/run-evaluate.ts'
import { writeReport } from '../evaluate/write-report.ts'
import type { Terminal } from '../model/base/terminal.ts'
import type { TensorFlowBackend } from '../model/engines/tensorflow/tensorflow-backend.ts'
import { createProgress, formatKept } from './progress.ts'

export interface RunTrainOptions {
  /** Path or name of the spec. */
  spec: string
  /** Folder of named specs. */
  specs: string
  /** Folder of models. */
  models: string
  force: boolean
  backend: TensorFlowBackend | undefined
  /** Folder for report.html and report.json. */
  report: string | undefined
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
 * `multigate train`: trains a model, writes the version and prints its report. Resolves with the exit code: that of a version that
 * does not meet its conditions, and was not written, is 3.
 */
export async function runTrain(options: RunTrainOptions): Promise<number> {
  const { models, force, cache, command, version, now, signal, out, err } = options
  const loaded = await readSpec(options.spec, options.specs)
  // These need TensorFlow.js, which is optional.
  const { prepareTensorFlow } = await import('../model/engines/tensorflow/tensorflow-backend.ts')
  const tensorflow = await prepareTensorFlow(options.backend)
  const { train } = await import('./train.ts')
  const observer = createProgress(
    err,
    loaded.spec.tasks.map(({ name }) => name),
  )
  const log = (line: string) => err.write(`${line}\n`)
  try {
    const { report, fitted, folder } = await train(loaded, {
      tensorflow,
      models,
      force,
      cache,
      command,
      multigateVersion: version,
      now,
      signal,
      observer,
      log,
    })
    out.write(`${formatEvaluation(report)}\n\n${formatKept(fitted)}\n`)
    if (options.report !== undefined) log(`report written to ${await writeReport(options.report, report)}`)
    log(folder === undefined ? 'nothing was written' : `written to ${folder}`)
    return folder === undefined ? notGoodEnough : 0
  } finally {
    observer.stop()
  }
}

import type { Terminal } from '../model/base/terminal.ts'
import { createEngine } from '../model/engines/create.ts'
import type { TensorFlowBackend } from '../model/engines/tensorflow/tensorflow-backend.ts'
import { readBundle } from '../model/version/read-version.ts'
import { readDataset } from './dataset.ts'
import { formatInt8, judgeInt8 } from './int8.ts'
import { predictLocally } from './local.ts'
import { createProgress } from './progress.ts'
import { readSpec } from './read-spec.ts'
import { predictRemotely } from './remote.ts'
import { formatKept, formatReport, reportQuality } from './report.ts'

interface CommonOptions {
  /** Path or name of the spec. */
  spec: string
  /** Folder of named specs. */
  specs: string
  /** Folder of models. */
  models: string
  signal: AbortSignal
  /** Results. */
  out: Terminal
  /** Progress and notes. */
  err: Terminal
}

export interface RunTrainOptions extends CommonOptions {
  force: boolean
  backend: TensorFlowBackend | undefined
  /** For the manifest's provenance. */
  command: string
  /** Version of multigate. */
  version: string
  now: () => number
}

/** `multigate train`: trains a model, writes the version and prints its report. */
export async function runTrain(options: RunTrainOptions): Promise<void> {
  const { models, force, command, version, now, signal, out, err } = options
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
    const result = await train(loaded, {
      tensorflow,
      models,
      force,
      command,
      multigateVersion: version,
      now,
      signal,
      observer,
      log,
    })
    out.write(`${formatReport(result.reports)}\n${formatKept(result.fitted)}\n`)
    log(`written to ${result.folder}`)
  } finally {
    observer.stop()
  }
}

export interface RunEvaluateOptions extends CommonOptions {
  /** Address of a service; default: the version on disk. */
  url: string | undefined
  model: string | undefined
  modelVersion: string | undefined
  /** Also compare int8 with float32 on the test rows. */
  int8: boolean
  /** Folder of compiled plans. */
  cache: string | undefined
  now: () => number
  fetch: typeof fetch
  sleep(milliseconds: number): Promise<unknown>
}

/** `multigate evaluate`: prints the report of a version on disk or of a running service. */
export async function runEvaluate(options: RunEvaluateOptions): Promise<void> {
  const { models, url, modelVersion, fetch, sleep, signal, out, err } = options
  const { file, spec } = await readSpec(options.spec, options.specs)
  const model = options.model ?? spec.name
  const dataset = await readDataset({ file, spec }, signal)
  const rows = dataset.parts.test.length
  if (url !== undefined) {
    err.write(`${model} at ${url}, ${rows} test rows of ${spec.name}\n`)
    const version = modelVersion === undefined ? {} : { version: modelVersion }
    const predictions = await predictRemotely(spec, dataset, { url, model, ...version, fetch, sleep, signal })
    out.write(`${formatReport(reportQuality(spec, dataset, predictions))}\n`)
    return
  }
  const bundle = await readBundle(models, model, modelVersion ?? String(spec.version))
  const engine = await createEngine('tensorflow', 1)
  err.write(`${bundle.folder} on ${engine.name}, ${rows} test rows of ${spec.name}\n`)
  const predictions = await predictLocally(engine, bundle, file, spec, dataset)
  out.write(`${formatReport(reportQuality(spec, dataset, predictions))}\n`)
  if (!options.int8) return
  const { cache, now } = options
  out.write(`\n${formatInt8(await judgeInt8(bundle, file, spec, dataset, { cache, now: now() }))}\n`)
}

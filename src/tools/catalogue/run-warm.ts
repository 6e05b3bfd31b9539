import type { RunContext } from '../../base/command.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { createProgress } from '../../base/progress.ts'
import { formatBytes, grouped } from '../../base/terminal.ts'
import { catalogueBytes, type ReadyCatalogue } from '../../model/contracts/catalogue.ts'
import { type CompiledPlan, filesOf } from '../../model/contracts/compiled-plan.ts'
import { catalogueFiles } from '../../model/engines/catalogue/key-index.ts'
import { readCatalogue } from '../../model/engines/catalogue/read-catalogue.ts'
import { sessionOptions } from '../../model/engines/onnx/onnx.ts'
import { openPlan } from '../../model/engines/plan/open-plan.ts'
import { removeTemporary } from '../../model/graph/compile/prepare.ts'
import { prepareInThread } from '../../model/graph/compile/prepare-in-thread.ts'
import { type QuantizationRows, readQuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { describeGraph, outputsOf, savedGraph } from '../../model/serving/prediction/load-graph.ts'
import { findBundle, missingModel } from '../../model/serving/version/read-version.ts'
import { type CandidateFile, openCandidates } from './candidate-rows.ts'
import { openCandidateSource } from './candidate-source.ts'
import type { WantedPrecision } from './judge-precision.ts'
import { type Warmed, warm } from './warm.ts'

export interface RunWarmOptions extends RunContext {
  /** Folder of a version or a model, or a model's name. */
  target: string
  /** Folder of models, for models given by name. */
  models: string
  /** Candidates: a CSV or Parquet file; default: the table of the model's candidates. */
  file: string | undefined
  /** Adds them to the catalogue that there is. */
  update: boolean
  precision: WantedPrecision
  /** Folder of compiled plans. */
  cache: string | undefined
  json: boolean
}

/** Memory for cached candidates when the catalogue is tried, bytes: the default of a server with one worker. */
const triedCache = 2 ** 28

/** `multigate warm`. Rejects with ModelError or SpecError; the catalogue that was there is then as before. */
export async function runWarm(options: RunWarmOptions): Promise<void> {
  const { file, update, json, signal, out, err } = options
  const started = performance.now()
  const progress = createProgress(err)
  const bundle = await openBundle(options)
  const { manifest } = bundle
  const name = `${manifest.name}/${manifest.version}`
  progress.stage(`compiling ${name}`)
  const quantization = await readQuantizationRows(bundle)
  const { plan, warnings } = await preparePlan(bundle, quantization, options.cache)
  const base = update ? await baseOf(plan, name) : undefined
  let candidates: CandidateFile | undefined
  try {
    const title = file ?? 'the table of candidates'
    progress.stage(`reading ${title}`)
    candidates = openCandidates(await openCandidateSource(file, bundle), title, manifest)
    const onProgress = (rows: number, total: number | undefined) => progress.rows('candidates', rows, total)
    const { precision } = options
    const now = Date.now()
    const inputs = { plan, manifest, quantization, candidates, precision, base, now, signal, onProgress }
    const warmed = await warm(inputs)
    progress.stage('trying the catalogue')
    const notes = [
      ...warnings,
      ...(plan.precisionProblem === undefined ? [] : [`the plan is float32, not int8: ${plan.precisionProblem}`]),
      ...(candidates.defaults.length === 0
        ? []
        : [`no column of these fields, which have their defaults: ${candidates.defaults.join(', ')}`]),
      ...(candidates.leftOut() === 0
        ? []
        : [`${grouped(candidates.leftOut())} rows have keys that the table does not have: they are left out`]),
      ...(warmed.problem === undefined ? [] : [warmed.problem]),
      ...(await tryCatalogue(plan)),
    ]
    progress.stop()
    const { read, repeated, verdicts, description } = warmed
    const report: WarmReport = {
      ...{ target: name, rows: description.rows, read, repeated, precision: description.precision },
      plan_precision: plan.precision,
      bytes: catalogueBytes(description),
      index_bytes: description.files[catalogueFiles.index]!.bytes,
      folder: plan.folder,
      seconds: (performance.now() - started) / 1000,
      ...{ verdicts, notes },
    }
    out.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : `${formatReport(report)}\n`)
  } finally {
    candidates?.close()
    progress.stop()
  }
}

async function openBundle({ target, models }: RunWarmOptions): Promise<Bundle> {
  const bundle = await findBundle(target, models)
  if (bundle === undefined) throw new ModelError('MODEL_NOT_FOUND', await missingModel(target, [models]))
  const { name, version } = bundle.manifest
  if (bundle.manifestless)
    throw new ModelError('INVALID_REQUEST', `${name}/${version} has no manifest that names the fields of candidates`)
  return bundle
}

/**
 * The plan that a server would take from the cache. Rejects where it has none of it, or nothing is kept of candidates.
 */
async function preparePlan(
  bundle: Bundle,
  quantization: QuantizationRows | undefined,
  cache: string | undefined,
): Promise<{ plan: CompiledPlan; warnings: string[] }> {
  const { manifest } = bundle
  const name = `${manifest.name}/${manifest.version}`
  if (cache === undefined)
    throw new ModelError('INVALID_REQUEST', 'a catalogue lies in the cache of plans, which is off')
  const source = savedGraph(bundle, outputsOf(manifest))
  // As a server asks for it: the rows for int8 alone.
  const described = describeGraph(manifest, manifest.precision === 'int8' ? quantization : undefined)
  const prepared = await prepareInThread({ ...described, source, cache, now: Date.now() })
  const { plan, problem, warnings } = prepared
  if (plan === undefined) throw new ModelError('UNSUPPORTED_GRAPH', `${name} runs as it was saved: ${problem}`)
  if (plan.origin === 'temporary') {
    await removeTemporary(plan)
    throw new ModelError('MODEL_FAILED', warnings.join('; ') || `the plan can't be stored in ${cache}`)
  }
  if (plan.description.live !== undefined)
    throw new ModelError(
      'INVALID_REQUEST',
      `${name} has live tables: what candidates keep of them would become out of date`,
    )
  const { candidate_encoder, cached, unsplit } = filesOf(plan)
  if (candidate_encoder === undefined || cached === undefined)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${name} keeps nothing of candidates: ${unsplit ?? 'no part of its graph depends on the candidate alone'}`,
    )
  return { plan, warnings }
}

async function baseOf(plan: CompiledPlan, name: string): Promise<ReadyCatalogue> {
  const again = 'write all candidates with --catalogue'
  const base = await readCatalogue(plan).catch((cause) => {
    throw new ModelError('INVALID_BUNDLE', `the catalogue of ${name} is unusable: ${reasonOf(cause)}; ${again}`, {
      cause,
    })
  })
  if (base === undefined)
    throw new ModelError('INVALID_REQUEST', `there is no catalogue of ${name} to update; ${again}`)
  return base
}

/** Opens the catalogue as a worker does; says why workers of this machine would not use it. */
async function tryCatalogue(plan: CompiledPlan): Promise<string[]> {
  const ready = await readCatalogue(plan)
  const open = await openPlan(plan, sessionOptions(1), triedCache)
  try {
    const problem = ready && (await open.addCatalogue(ready))
    return problem === undefined ? [] : [`servers on this machine do not use it: ${problem}`]
  } finally {
    await open.close()
  }
}

/** The result, as JSON. */
interface WarmReport {
  target: string
  /** Candidates in the catalogue; read from the file; read that were in it, or in the catalogue, before. */
  rows: number
  read: number
  repeated: number
  precision: string
  plan_precision: string
  /** The size of all files; and that of the index, which each server process reads into memory. */
  bytes: number
  index_bytes: number
  folder: string
  seconds: number
  verdicts: Warmed['verdicts']
  notes: string[]
}

function formatReport(report: WarmReport): string {
  const { target, rows, read, repeated, precision, bytes, index_bytes, folder, seconds, notes } = report
  return [
    `${target}: ${grouped(rows)} candidates as ${precision}, ${formatBytes(bytes)}, beside the plan in ${folder}; took ${seconds.toFixed(1)} s`,
    `read ${grouped(read)}, of which ${grouped(repeated)} were known; each server process reads an index of ${formatBytes(index_bytes)}`,
    ...notes.map((note) => `note: ${note}`),
  ].join('\n')
}

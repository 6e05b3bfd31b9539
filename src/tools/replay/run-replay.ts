import type { RunContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { createProgress } from '../../base/progress.ts'
import type { ServiceAddress } from '../client/service-client.ts'
import { openDataset } from '../data/dataset.ts'
import { locateLog } from '../data/open-log.ts'
import { openSource } from '../data/open-source.ts'
import type { FieldReading } from '../data/readers.ts'
import { SpecError } from '../data/source.ts'
import { findVersion, openLocalPredictor, tablesOf } from '../evaluate/local-predictor.ts'
import { readingKey, readingsOfModel } from '../evaluate/model-fields.ts'
import type { Predictor } from '../evaluate/predictor.ts'
import { notGoodEnough } from '../evaluate/run-evaluate.ts'
import { openServicePredictor } from '../evaluate/service-predictor.ts'
import { checkReportFolder, writeReportFiles } from '../evaluate/session.ts'
import { Collector } from './collect.ts'
import { measureCost } from './cost.ts'
import { describeTasks, type ReplayReport } from './describe.ts'
import { formatReplay } from './format-replay.ts'
import { type Condition, judge } from './gate.ts'
import { replay } from './replay.ts'

/** The options of `multigate replay`, as the command line gives them. */
export interface ReplayFlags {
  model: string
  against: string
  baseline?: string | undefined
  versions?: string[] | undefined
  slices: string[]
  seed: number
  json: boolean
  report?: string | undefined
  gate?: Condition[] | undefined
  /** Share of the recorded requests. */
  sample: number
  skipDamaged: boolean
  models: string
}

export interface RunReplayOptions extends ReplayFlags, RunContext {
  log: string
  /** A service to ask instead of versions on disk. */
  service: ServiceAddress | undefined
  /** Folder of compiled plans. */
  cache: string | undefined
  /** How many threads compute at most; default: one per core. */
  threads?: number | undefined
  command: string
  multigateVersion: string
  now(): number
}

/** `multigate replay`: asks a version again for what a log recorded. Resolves with the exit code. */
export async function runReplay(options: RunReplayOptions): Promise<number> {
  const progress = createProgress(options.err)
  const opened: Predictor[] = []
  const open = async (version: string) => {
    progress.stage(`opening ${options.model}/${version}`)
    const predictor = await openVersion(version, options)
    opened.push(predictor)
    return predictor
  }
  try {
    await expectInput(options)
    const { report, passed } = await replayed(options, open, progress)
    progress.stop()
    options.out.write(`${options.json ? JSON.stringify(report, undefined, 2) : formatReplay(report)}\n`)
    for (const warning of report.warnings) options.err.write(`warning: ${warning}\n`)
    if (options.report !== undefined) options.err.write(`report written to ${await write(report, options.report)}\n`)
    return passed ? 0 : notGoodEnough
  } catch (error) {
    throw error instanceof SpecError ? inOptions(error) : error
  } finally {
    progress.stop()
    for (const predictor of opened) await predictor.close()
  }
}

/** Problems of the log as rows, in the words of the command line. */
function inOptions({ file, problems }: SpecError): ModelError {
  const option = (path: string) => {
    const [, , property] = path.split('/')
    return property === 'model' || property === 'versions' ? `--${property}` : file
  }
  const lines = problems.map(({ path, message }) => `${option(path)} ${message}`)
  return new ModelError('INVALID_REQUEST', lines.join('\n'))
}

/** Rejects for what is wrong with the log, the versions or the folder of the report, before anything is opened. */
async function expectInput(options: RunReplayOptions): Promise<void> {
  const { log, model, models, against, baseline, service, report } = options
  await openSource(logData(options), log)
  if (service === undefined)
    for (const version of [against, baseline])
      if (version !== undefined) await findVersion(`${model}/${version}`, models)
  if (report !== undefined) await checkReportFolder(report)
}

const logData = ({ log, model, versions, sample, skipDamaged }: RunReplayOptions) => ({
  ...{ log: locateLog(log, '.'), model, sample, skip_damaged: skipDamaged },
  ...(versions && { versions }),
})

async function openVersion(version: string, options: RunReplayOptions): Promise<Predictor> {
  const { model, models, service, err } = options
  if (service) return openServicePredictor(service, model, version)
  const bundle = await findVersion(`${model}/${version}`, models)
  const onWarning = (message: string) => err.write(`warning: ${message}\n`)
  const predictor = await openLocalPredictor(bundle, { ...options, onWarning })
  return { ...predictor, tables: tablesOf(bundle) }
}

async function replayed(
  options: RunReplayOptions,
  open: (version: string) => Promise<Predictor>,
  progress: ReturnType<typeof createProgress>,
): Promise<{ report: ReplayReport; passed: boolean }> {
  const { log, model, against, baseline, versions, service, signal } = options
  const newer = await open(against)
  const older = baseline === undefined ? undefined : await open(baseline)
  const tasks = newer.tasks.map(({ name }) => name)
  const collected = await collect(options, newer, older, progress)
  const { collector, warnings } = collected
  progress.stage('measuring the time of requests')
  const cost = service ? [] : await measureCost(older ? [newer, older] : [newer], collector.timed, signal)
  const conditions = options.gate && judge(options.gate, collector)
  const lacking = tasks.filter((task) => !collector.tasks.has(task))
  if (lacking.length > 0) warnings.push(`nothing to compare for ${lacking.join(', ')}, which only ${against} answers`)
  const report: ReplayReport = {
    replay: 1,
    created: new Date(options.now()).toISOString(),
    command: options.command,
    multigate: options.multigateVersion,
    ...{ log, model, after: `${model}/${against}` },
    ...(older && { before: `${model}/${baseline}` }),
    ...{ requests: collector.requests, rows: collector.rows, left_out: collector.leftOut, warnings },
    ...{ tasks: describeTasks(collector), unknown: Object.fromEntries(collector.unknown), cost },
    ...(conditions && { conditions }),
  }
  if (versions === undefined && !older && collector.versions.size > 1)
    warnings.push(`the recorded answers are of versions ${[...collector.versions].join(', ')}: choose with --versions`)
  return { report, passed: conditions?.every(({ passed }) => passed) ?? true }
}

/** `older`: undefined for the recorded answers. */
async function collect(
  options: RunReplayOptions,
  newer: Predictor,
  older: Predictor | undefined,
  progress: ReturnType<typeof createProgress>,
): Promise<{ collector: Collector; warnings: string[] }> {
  const { log, model, against, slices, seed, signal } = options
  const readings = await readingsOf(older ? [newer, older] : [newer], options)
  const entities = [newer, older].flatMap((version) => version?.tables ?? [])
  const spec = { data: logData(options), tasks: [], slices: [] }
  const rows = await openDataset({ file: log, spec }, readings, entities)
  try {
    const recorded = rows.source.columns.flatMap(({ name }) => /^log_served_(.+)$/.exec(name)?.[1] ?? [])
    const known = older ? older.tasks.map(({ name }) => name) : recorded
    const tasks = newer.tasks.map(({ name }) => name).filter((name) => known.includes(name))
    if (tasks.length === 0)
      throw new ModelError('INVALID_REQUEST', `${model}/${against} has none of the tasks ${known.join(', ')}`)
    const names = readings.map(({ name }) => name)
    for (const slice of slices)
      if (!names.includes(slice))
        throw new ModelError('INVALID_REQUEST', `--slices: ${model} has no field ${slice}; it has ${names.join(', ')}`)
    const collector = new Collector(tasks, { seed, slices })
    await replay({
      ...{ rows, file: log, against: newer, baseline: older, readings, tasks, signal },
      onRequest(request) {
        collector.add(request)
        const share = rows.source.progress()
        progress.rows('replaying', collector.rows, share ? Math.round(collector.rows / share) : undefined)
      },
    })
    collector.leftOut = rows.joined?.leftOut.length ?? 0
    if (collector.rows === 0) throw new ModelError('INVALID_REQUEST', `${log} has no answered candidates of ${model}`)
    return { collector, warnings: rows.source.notes?.() ?? [] }
  } finally {
    rows.close()
  }
}

/** How the fields of versions are read: weights are in columns of their own, where the log has some. */
async function readingsOf(versions: readonly Predictor[], options: RunReplayOptions): Promise<FieldReading[]> {
  const { columns } = await openSource(logData(options), options.log)
  const all = versions.flatMap(({ fields }) => {
    const weighted = fields
      .map(({ name }) => ({ name, weights: `${name}_weights` }))
      .filter(({ weights }) => columns.some(({ name }) => name === weights))
    return readingsOfModel(fields, { fields: weighted })
  })
  return [...new Map(all.map((reading) => [readingKey(reading), reading])).values()]
}

async function write(report: ReplayReport, folder: string): Promise<string> {
  const { renderReplay } = await import('./report/render-replay.ts')
  const json = `${JSON.stringify(report, undefined, 2)}\n`
  return writeReportFiles(folder, { 'report.html': await renderReplay(report), 'report.json': json })
}

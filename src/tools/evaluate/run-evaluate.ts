import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { realpath, rename, rm, stat } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { ModelError } from '../../base/errors.ts'
import { fileReason } from '../../base/files.ts'
import { grouped } from '../../base/terminal.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { ServiceAddress } from '../client/service-client.ts'
import type { Dataset } from '../data/dataset.ts'
import { hasParts } from '../data/parts.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { comparisonOf } from './compare.ts'
import { type Evaluation, rowsOfPart } from './evaluate.ts'
import { formatEvaluation } from './format.ts'
import type { PartName } from './judge-context.ts'
import { formatVerdict, judgePrecisions, precisionsOf, type RoundedPrecision } from './judge-precision.ts'
import { findVersion, openLocalPredictor } from './local-predictor.ts'
import { predictorFields } from './model-fields.ts'
import { previousVersion } from './next-version.ts'
import type { Predictor, PredictorField, PredictorTask } from './predictor.ts'
import { checkPublish, readConditions } from './publish.ts'
import { askedByKeys } from './served-entities.ts'
import { openServicePredictor } from './service-predictor.ts'
import { type JudgeOptions, judgeAll, readRowsFor, withSession, writeReport } from './session.ts'

export interface RunEvaluateOptions extends JudgeOptions {
  /** `<model>`, `<model>/<version>` or a folder; default: the version that the spec trains. */
  target: string | undefined
  /** Default: the one that the spec trains. */
  modelVersion?: string | undefined
  /** A service to ask instead of a version on disk. */
  service: ServiceAddress | undefined
  /** Also compare these with float32. */
  precisions: readonly RoundedPrecision[]
  /** File for the predictions, one line per row and task. */
  predictions?: string | undefined
}

/** Exit code for a version that is worse, or that does not meet its conditions. */
export const notGoodEnough = 3

/** `multigate evaluate`: judges a version on labelled rows and prints a report. Resolves with the exit code. */
export function runEvaluate(options: RunEvaluateOptions): Promise<number> {
  const { models, service, out, err } = options
  return withSession(options, async (session) => {
    const { loaded, progress } = session
    const target = options.target ?? targetOf(loaded, options.modelVersion)
    progress.stage(`opening ${target}`)
    const bundle = service ? undefined : await findVersion(target, models)
    const served = service && (await askedByKeys(await session.keep(openServed(service, target)), loaded))
    const conditions = await readConditions(options.gate, loaded, served?.tasks ?? tasksOf(bundle!))
    const predictor = served ?? (await session.keep(openOnDisk(bundle!, options)))
    const replaced = conditions?.not_worse
      ? await previousVersion(models, predictor.model.name, bundle?.manifest.version)
      : undefined
    const before = replaced && (await session.keep(openOnDisk(replaced, options)))
    const shared = await readRowsFor(loaded, before ? [predictor, before] : [predictor], session)
    const context = { ...session, part: partOf(loaded, options.part) }
    const dataset = shared.datasetOf(predictor)
    const [evaluation, former] = await judgeAll(context, [
      { predictor, dataset, manifest: bundle?.manifest },
      ...(before ? [{ predictor: before, dataset: shared.datasetOf(before), brief: true }] : []),
    ])
    const { report } = evaluation!
    if (former) report.comparison = comparisonOf(former, evaluation!)
    const wanted = new Set([...options.precisions, ...precisionsOf(conditions)])
    const rows = rowsOfPart(dataset, context.part)
    const precisions = await judgePrecisions([...wanted], { ...session, bundle, dataset, rows })
    if (precisions.int8?.verdict) report.int8_check = precisions.int8.verdict
    if (precisions.bfloat16?.verdict) report.bfloat16_check = precisions.bfloat16.verdict
    if (conditions) report.publish = checkPublish(conditions, { report, precisions })
    progress.stop()
    err.write(`${judgedLine(report)}\n`)
    if (options.predictions !== undefined) await writePredictions(options.predictions, evaluation!, dataset)
    await printReport(report, options)
    for (const [precision, { verdict, problem }] of Object.entries(precisions))
      if (verdict === undefined) err.write(`${precision} was not judged: ${problem}\n`)
      else if (!options.json) out.write(`\n${formatVerdict(precision, verdict)}\n`)
    return report.publish?.passed === false ? notGoodEnough : 0
  })
}

/** The judged version, its engine and the rows, for people: `shop/7 by onnx, 20,000 test rows of rows.yaml`. */
function judgedLine({ model, data }: EvaluationReport): string {
  const by = model.url ?? model.engine ?? 'an unknown engine'
  const part = data.part === 'all' ? '' : `${data.part} `
  const left =
    data.left_out === undefined ? '' : `; ${grouped(data.left_out)} more are left out, as a server does not answer them`
  return `${model.name}/${model.version} by ${by}, ${grouped(data.judged)} ${part}rows of ${data.spec}${left}`
}

/** The version that a training spec writes. */
export function targetOf({ file, trains }: LoadedRows, version?: string): string {
  if (trains) return `${trains.name}/${version ?? trains.version}`
  const message = 'describes rows alone: say which model they judge, as in `multigate evaluate <model> --data <spec>`'
  throw new SpecError(file, [{ path: '', message }])
}

/** The part that is asked for; else the usual one if the spec divides its rows, or all. */
export function partOf({ file, spec }: LoadedRows, asked: PartName | undefined, usual: PartName = 'test'): PartName {
  if (asked !== undefined && asked !== 'all' && !hasParts(spec))
    throw new SpecError(file, [
      { path: '/split', message: `is missing, so there is no part ${asked}: all rows are judged` },
    ])
  return asked ?? (hasParts(spec) ? usual : 'all')
}

export function openOnDisk(
  bundle: Bundle,
  { cache, threads, now, err }: Pick<JudgeOptions, 'cache' | 'threads' | 'now' | 'err'>,
): Promise<Predictor> {
  return openLocalPredictor(bundle, { cache, threads, now, onWarning: (message) => err.write(`${message}\n`) })
}

/** `<model>` or `<model>/<version>` of a service. */
export function openServed(service: ServiceAddress, target: string): Promise<Predictor> {
  const [, name, version] = /^(.*?)(?:\/([1-9]\d*))?$/.exec(target)!
  return openServicePredictor(service, name!, version)
}

/** Tasks, then derived tasks, of a version that is not open. */
export function tasksOf({ manifest }: Bundle): PredictorTask[] {
  return [...manifest.tasks, ...manifest.derived]
}

/** The fields of a version that is not open. */
export function fieldsOf({ manifest }: Bundle): PredictorField[] {
  return predictorFields(manifest.features)
}

/** Prints a report, and writes it to its folder. */
export async function printReport(report: EvaluationReport, options: JudgeOptions): Promise<void> {
  options.out.write(`${options.json ? JSON.stringify(report, undefined, 2) : formatEvaluation(report)}\n`)
  await writeReportTo(report, options)
}

export async function writeReportTo(report: EvaluationReport, { report: folder, err }: JudgeOptions): Promise<void> {
  if (folder !== undefined) err.write(`report written to ${await writeReport(folder, report)}\n`)
}

/**
 * Writes one line per task and judged row, as CSV: task, row (from 1, in the data), group, label, weight, prediction. A
 * name that ends with `.gz` is compressed. The file appears whole or not at all. Rejects with INVALID_REQUEST if it
 * can't be written.
 */
async function writePredictions(path: string, { tasks, scored }: Evaluation, dataset: Dataset): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const there = await stat(target).catch(() => undefined)
  // A device or a pipe is written to; a file is replaced.
  const partial = there === undefined || there.isFile() ? `${target}.${process.pid}.partial` : undefined
  try {
    const file = createWriteStream(partial ?? target)
    const out = path.endsWith('.gz') ? createGzip() : file
    if (out !== file) out.pipe(file)
    const done = finished(file)
    done.catch(() => undefined)
    const write = async (text: string) => {
      if (!out.write(text)) await Promise.race([once(out, 'drain'), done])
    }
    await write('task,row,group,label,weight,prediction\n')
    for (const { name, positions, labels, weights, predictions } of tasks)
      for (let i = 0; i < positions.length; i++) {
        const row = scored.rows[positions[i]!]!
        const group = dataset.groups?.at(row) ?? ''
        await write(`${name},${row + 1},${quoted(group)},${labels[i]},${weights?.[i] ?? 1},${predictions[i]}\n`)
      }
    out.end()
    await done
    if (partial) await rename(partial, target)
  } catch (cause) {
    if (partial) await rm(partial, { force: true })
    throw new ModelError('INVALID_REQUEST', `${path} can't be written: ${fileReason(cause)}`, { cause })
  }
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

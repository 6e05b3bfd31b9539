import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { createProgress } from '../../base/progress.ts'
import { grouped } from '../../base/terminal.ts'
import type { CompiledPlan, Verdict } from '../../model/contracts/compiled-plan.ts'
import { removeTemporary } from '../../model/graph/compile/prepare.ts'
import { prepareInThread } from '../../model/graph/compile/prepare-in-thread.ts'
import { tooFew } from '../../model/graph/int8/different-rows.ts'
import { evaluationFile } from '../../model/serving/bundle/evaluation.ts'
import { encodeQuantizationRows, type QuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { writeBundle } from '../../model/serving/bundle/write.ts'
import { hasLiveFields, roundingNotes } from '../../model/serving/prediction/describe-plan.ts'
import { describeGraph, outputsOf, savedGraph } from '../../model/serving/prediction/load-graph.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { Precision, TableFormat } from '../../schemas/precision.ts'
import { chooseRows, quantizationFile, toQuantizationRows } from '../data/quantization-rows.ts'
import { readRowsSpec } from '../data/read-spec.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { describeTable, tableWarnings } from './describe-table.ts'
import { rowsOfPart } from './evaluate.ts'
import { encodePart, formatVerdict } from './judge-precision.ts'
import { findVersion, tablesOf } from './local-predictor.ts'
import { copiedFiles, madeOf, warnUnsigned } from './next-version.ts'
import { fieldsOf, notGoodEnough, partOf } from './run-evaluate.ts'
import { type RowsFlags, type RowsOptions, readRowsFor } from './session.ts'
import { checkTasks } from './task-rows.ts'

export interface QuantizeFlags extends RowsFlags {
  precision: Precision
  /** Serves it also where it is no faster than float32. */
  keepPrecision?: boolean
  /** Default: as the version has them. */
  tables?: TableFormat | undefined
  /** Most rows that are stored. */
  rows: number
  dryRun: boolean
}

export interface RunQuantizeOptions extends QuantizeFlags, RowsOptions {
  target: string
}

/** The report that `--json` prints. */
interface QuantizeReport {
  model: string
  version: string
  /** The folder of the new version; null where none was written. */
  folder: string | null
  rows: number
  precision: Precision
  /** The precision of the version before. */
  former: Precision
  tables: TableFormat
  /** On this machine. */
  served: { precision: CompiledPlan['precision']; tables: TableFormat; products?: string | undefined }
  verdict?: Verdict | undefined
  tables_verdict?: Verdict | undefined
  notes: string[]
}

/**
 * `multigate quantize`: stores rows that set the scales of int8 and judge every precision, and writes the next version,
 * with the same graph in another precision. Resolves with the exit code: 3 if the precision or the tables fail their
 * check, and nothing was written.
 */
export async function runQuantize(options: RunQuantizeOptions): Promise<number> {
  const { models, out, err, json, signal, dryRun } = options
  const loaded = await readRowsSpec(options.data, options.specs)
  const part = partOf(loaded, options.part, 'validation')
  const progress = createProgress(err)
  try {
    progress.stage(`opening ${options.target}`)
    const bundle = await findVersion(options.target, models)
    const { tasks, derived } = bundle.manifest
    checkTasks(loaded.file, loaded.spec, [...tasks, ...derived])
    expectNoLiveFields(bundle, options)
    const version = { fields: fieldsOf(bundle), model: bundle.manifest, tables: tablesOf(bundle) }
    const dataset = (await readRowsFor(loaded, [version], { signal, progress, err })).datasetOf(version)
    const all = rowsOfPart(dataset, part)
    const chosen = Int32Array.from(chooseRows(all.length, options.rows), (place) => all[place]!)
    const rows = toQuantizationRows(encodePart(bundle.manifest, loaded, dataset, chosen))
    const content = encodeQuantizationRows(rows)
    const manifest = await nextManifest(bundle, rows, loaded, content, options)
    const described = describeGraph(manifest, rows)
    const few = tooFew(described.quantization!.judged)
    if (few !== undefined)
      throw new SpecError(loaded.file, [{ path: '/data', message: `half of the rows judge the precision: ${few}` }])
    progress.stage('compiling and judging')
    const { plan, problem, warnings } = await prepareInThread({
      ...described,
      source: savedGraph(bundle, outputsOf(manifest)),
      cache: options.cache,
      now: options.now(),
    })
    if (plan !== undefined) await removeTemporary(plan)
    progress.stop()
    signal.throwIfAborted()
    if (plan === undefined) throw new Error(`${options.target} can't be compiled: ${problem}`)
    const failed = hasFailed(plan, manifest)
    const folder = join(dirname(bundle.folder), manifest.version)
    if (!failed && !dryRun) {
      const { files, ...next } = manifest
      const { file } = manifest.quantization!
      const others = Object.keys(files).filter((path) => path !== file)
      await writeBundle(folder, { manifest: next, files: { ...copiedFiles(bundle, others), [file]: content } })
    }
    const notes = [
      ...(dataset.tables ?? []).map(describeTable),
      ...tableWarnings(dataset.tables).map((warning) => `warning: ${warning}`),
      ...warnings,
    ]
    const report = reportOf(bundle, manifest, rows, plan, notes, failed || dryRun ? null : folder)
    out.write(`${json ? JSON.stringify(report, undefined, 2) : formatReport(report)}\n`)
    if (report.folder === null) err.write('nothing was written\n')
    else {
      err.write(`written to ${folder}\n`)
      warnUnsigned(bundle, folder, err)
    }
    return failed ? notGoodEnough : 0
  } finally {
    progress.stop()
  }
}

function reportOf(
  { manifest: { precision: former } }: Bundle,
  manifest: Manifest,
  rows: QuantizationRows,
  plan: CompiledPlan,
  warnings: readonly string[],
  folder: string | null,
): QuantizeReport {
  const { name: model, version, precision, tables = 'float32' } = manifest
  const { tableRows } = plan.description
  return {
    ...{ model, version, folder, rows: rows.rows, precision, former, tables },
    served: { precision: plan.precision, tables: tableRows?.format ?? 'float32', products: plan.products },
    verdict: plan.verdict,
    tables_verdict: tableRows?.verdict,
    notes: [
      ...warnings,
      ...roundingNotes(plan, manifest),
      ...unlabelled(manifest, rows),
      ...(isUnjudged(plan, manifest) ? ['it is written unjudged: servers judge it when they load it'] : []),
    ],
  }
}

/** Rows of live tables may be replaced while they are served, which needs float32. Throws INVALID_REQUEST. */
function expectNoLiveFields({ manifest }: Bundle, { target, precision }: RunQuantizeOptions): void {
  if (precision === 'float32' || !hasLiveFields(manifest)) return
  const message = `${target} has live fields, whose tables are replaced in float32 alone: --precision float32 keeps them`
  throw new ModelError('INVALID_REQUEST', message)
}

/**
 * Tasks of which no machine can compare the AUC, as the half of the rows that judges has labels of one class at most.
 */
function unlabelled({ tasks }: Manifest, { rows, labels }: QuantizationRows): string[] {
  const without = tasks.filter((_, task) => {
    const classes = new Set<number>()
    for (let row = Math.ceil(rows / 2); row < rows; row++) classes.add(labels![row * tasks.length + task]!)
    return !(classes.has(0) && classes.has(1))
  })
  if (without.length === 0) return []
  const names = without.map(({ name }) => name).join(', ')
  return [`the rows that judge have no labels of both classes for ${names}: their AUC can't be compared`]
}

/** bfloat16 that this machine can't compute. */
function isUnjudged({ verdict }: CompiledPlan, { precision }: Manifest): boolean {
  return precision === 'bfloat16' && verdict === undefined
}

/** bfloat16 that this machine can't compute has not failed: another may, and judges it then. */
function hasFailed(plan: CompiledPlan, manifest: Manifest): boolean {
  if (plan.description.tableRows?.problem !== undefined) return true
  // float32 that is served because it is as fast here is no failure.
  if (manifest.precision === 'auto' || plan.precisionProblem === undefined) return false
  return !isUnjudged(plan, manifest)
}

/** The manifest of the next version. */
async function nextManifest(
  bundle: Bundle,
  { rows }: QuantizationRows,
  loaded: LoadedRows,
  content: Uint8Array,
  options: RunQuantizeOptions,
): Promise<Manifest> {
  const { manifest } = bundle
  const { precision, keepPrecision = manifest.keep_precision, tables = manifest.tables } = options
  // Its report is of other files.
  const { [evaluationFile]: _, ...files } = manifest.files
  if (manifest.quantization !== undefined) delete files[manifest.quantization.file]
  const file = freeName(files)
  return {
    ...manifest,
    ...(await madeOf(bundle, 'quantization', rows, loaded, options)),
    precision,
    ...(keepPrecision !== undefined && { keep_precision: keepPrecision }),
    ...(tables && { tables }),
    quantization: { file, rows, labels: true },
    // In the order in which they are written: servers find the plan that is compiled here.
    files: { ...files, [file]: createHash('sha256').update(content).digest('hex') },
  }
}

/** A name that no other file of the version has. */
function freeName(files: Readonly<Record<string, string>>): string {
  let name = quantizationFile
  for (let i = 2; Object.hasOwn(files, name); i++) name = `quantization-${i}.bin`
  return name
}

function formatReport({ model, version, rows, precision, tables, served, ...report }: QuantizeReport): string {
  const asked = `${precision}${report.former === precision ? '' : ` (was ${report.former})`}${tables === 'float32' ? '' : `, ${tables} tables`}`
  const computed = served.products === undefined ? '' : `, products by ${served.products}`
  return [
    `${model}/${version}: ${asked}, with ${grouped(rows)} quantization rows; this machine serves ${served.precision}${computed}`,
    ...report.notes,
    ...(report.verdict ? [formatVerdict(precision === 'auto' ? served.precision : precision, report.verdict)] : []),
    ...(report.tables_verdict ? [formatVerdict(`${tables} tables`, report.tables_verdict)] : []),
  ].join('\n')
}

import type { Progress } from '../../base/progress.ts'
import { evaluationFiles } from '../../model/serving/bundle/evaluation.ts'
import { encodeQuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { NewBundle } from '../../model/serving/bundle/write.ts'
import { layoutOf } from '../../model/serving/features/layout.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { GoldenRows, Manifest } from '../../schemas/manifest.ts'
import type { Dataset } from '../data/dataset.ts'
import { describeData, measureFields, measureTasks } from '../data/distributions.ts'
import { encodeStrips } from '../data/encode-rows.ts'
import { chooseRows, quantizationFile, toQuantizationRows, usualQuantizationRows } from '../data/quantization-rows.ts'
import { rowsProvenance } from '../data/rows-provenance.ts'
import { type LoadedRows, RowProblems, SpecError } from '../data/source.ts'
import { rowsOfPart } from '../evaluate/evaluate.ts'
import { judgeNewVersion } from '../evaluate/judge-new-version.ts'
import { encodePart } from '../evaluate/judge-precision.ts'
import { predictorFields } from '../evaluate/model-fields.ts'
import { qualityOf } from '../evaluate/publish.ts'
import { partOf } from '../evaluate/run-evaluate.ts'
import { readRowsFor } from '../evaluate/session.ts'
import { checkTasks } from '../evaluate/task-rows.ts'

export interface MeasureOptions {
  loaded: LoadedRows
  /** Folder of models, in which the version before is looked for. */
  models: string
  /** For provenance. */
  command: string
  multigateVersion: string
  now(): number
  signal: AbortSignal
  progress: Progress
  log(line: string): void
}

export interface Measured {
  manifest: NewBundle['manifest']
  /** Files beside those of the graph. */
  files: Record<string, Uint8Array>
  report: EvaluationReport
}

/** Number of rows that become golden ones. */
const goldenCount = 16

/**
 * Adds to a version that was trained elsewhere what `train` adds to its own: quality, drift reference, rows for
 * quantization, golden rows (where `bundle` has none that its training program answered) and the evaluation report.
 *
 * Without parts in the spec, all rows do for everything. `answer` asks the graph for its answers to named rows. Rejects
 * with a SpecError for rows that don't fit the version.
 */
export async function measure(
  { manifest, files }: NewBundle,
  { loaded, ...options }: MeasureOptions,
  answer: ((rows: GoldenRows['rows']) => Promise<GoldenRows>) | undefined,
): Promise<Measured> {
  const { tasks, derived, features } = manifest
  checkTasks(loaded.file, loaded.spec, [...tasks, ...derived])
  const fields = predictorFields(features)
  const { signal, progress, now } = options
  const dataset = (await readRowsFor(loaded, [{ fields }], { signal, progress })).datasetOf({ fields })
  const part = partOf(loaded, undefined)
  const judged = rowsOfPart(dataset, part)
  const complete: Manifest = { ...manifest, files: {} }
  const layout = layoutOf(complete)
  const problems = new RowProblems()
  const measured = measureFields(layout, encodeStrips(layout, dataset.cells, judged, dataset.place, problems))
  const found = problems.list()
  if (found.length > 0) throw new SpecError(loaded.file, found)
  const chosen = rowsOfPart(dataset, partOf(loaded, undefined, 'validation'))
  const kept = Int32Array.from(chooseRows(chosen.length, usualQuantizationRows), (place) => chosen[place]!)
  const quantized = toQuantizationRows(encodePart(complete, loaded, dataset, kept))
  const golden = await answer?.(rowsAt(features, dataset, judged))
  const described: NewBundle['manifest'] = {
    ...manifest,
    ...(golden && { golden }),
    quantization: { file: quantizationFile, rows: quantized.rows, labels: true },
    provenance: {
      ...manifest.provenance,
      ...rowsProvenance(manifest, loaded.spec),
      created: new Date(now()).toISOString(),
      command: options.command,
      data: describeData(loaded.spec.data),
      multigate: options.multigateVersion,
    },
  }
  const own = { [quantizationFile]: encodeQuantizationRows(quantized) }
  const bundle = { manifest: described, files: { ...files, ...own } }
  const names = features.map(({ name }) => name)
  // A plan in the cache would name weights in files of the folder that it is judged in.
  const judging = { ...options, cache: undefined, fields: names, part }
  const { report, scored } = await judgeNewVersion(bundle, loaded, dataset, judging)
  const drift = { ...measured, tasks: measureTasks(scored.predictions) }
  return {
    manifest: { ...described, quality: qualityOf(report), drift },
    files: { ...own, ...evaluationFiles(report) },
    report,
  }
}

/** A few evenly spread rows, by name. */
function rowsAt(features: Manifest['features'], { cells }: Dataset, rows: Int32Array): GoldenRows['rows'] {
  const count = Math.min(goldenCount, rows.length)
  return Array.from({ length: count }, (_, i) => {
    const row = rows[Math.floor((i * rows.length) / count)]!
    return Object.fromEntries(features.map(({ name }, field) => [name, cells[field]!.at(row)]))
  })
}

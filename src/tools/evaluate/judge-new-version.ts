import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { type NewBundle, writeBundle } from '../../model/serving/bundle/write.ts'
import { readBundle } from '../../model/serving/version/read-version.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { CellColumn } from '../data/columns.ts'
import type { Dataset } from '../data/dataset.ts'
import type { LoadedRows } from '../data/source.ts'
import { comparisonOf } from './compare.ts'
import { type Evaluation, rowsOfPart } from './evaluate.ts'
import type { JudgeContext, PartName } from './judge-context.ts'
import { type JudgedPrecisions, judgePrecisions, precisionsOf } from './judge-precision.ts'
import { openLocalPredictor } from './local-predictor.ts'
import { previousVersion } from './next-version.ts'
import { checkPublish } from './publish.ts'
import type { ScoredPart } from './score-rows.ts'
import { judgeAll } from './session.ts'

export interface JudgeNewOptions
  extends Pick<JudgeContext, 'command' | 'multigateVersion' | 'now' | 'signal' | 'progress'> {
  /** The version that it is compared with; default: the highest on disk, in the folder `models`. */
  from?: Bundle | undefined
  models: string
  cache: string | undefined
  /** Names of the fields in the data set's cells, in order. */
  fields: readonly string[]
  /** The rows that judge; default: test. */
  part?: PartName
  /** Only metrics and their intervals: no baselines, slices or distributions. */
  brief?: boolean
  log(line: string): void
}

/**
 * Judges a version that is not written yet, on the rows of a part, as it will be served, and checks the spec's
 * conditions of publishing. `options.fields` names the columns in `dataset.cells`. Rejects like `loadModel` and
 * `evaluate`.
 */
export async function judgeNewVersion(
  bundle: NewBundle,
  loaded: Omit<LoadedRows, 'trains'>,
  dataset: Dataset,
  options: JudgeNewOptions,
): Promise<{ report: EvaluationReport; scored: ScoredPart }> {
  const { name, version } = bundle.manifest
  const root = await makeTemporaryFolder('judge')
  try {
    await writeBundle(join(root, name, version), bundle)
    const { evaluation, precisions } = await judgeVersion(
      await readBundle(root, name, version),
      loaded,
      dataset,
      options,
    )
    const { report, scored } = evaluation
    const { publish } = loaded.spec
    if (publish?.not_worse) {
      const before = options.from ?? (await previousVersion(options.models, name))
      if (before) {
        const former = (await judgeVersion(before, loaded, dataset, { ...options, brief: true })).evaluation
        const comparison = comparisonOf(former, evaluation)
        // Two versions of one number: the new one takes the other's place.
        const a = comparison.a === comparison.b ? `the replaced ${comparison.a}` : comparison.a
        report.comparison = { ...comparison, a }
      }
    }
    if (publish) report.publish = checkPublish(publish, { report, precisions })
    return { report, scored }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function judgeVersion(
  bundle: Bundle,
  loaded: Omit<LoadedRows, 'trains'>,
  dataset: Dataset,
  { brief = false, part = 'test', fields, log, ...options }: JudgeNewOptions,
): Promise<{ evaluation: Evaluation; precisions: JudgedPrecisions }> {
  const { progress, cache, now } = options
  const { manifest } = bundle
  const rows = rowsOfPart(dataset, part)
  const own = { ...dataset, cells: cellsOf(bundle, fields, dataset) }
  progress?.stage(`opening ${manifest.name}/${manifest.version}`)
  const predictor = await openLocalPredictor(bundle, { cache, now, onWarning: log, rows: rows.length })
  try {
    const judged = { predictor, dataset: own, manifest, brief }
    const [evaluation] = await judgeAll({ ...options, loaded, part, seed: 1 }, [judged])
    const wanted = precisionsOf(loaded.spec.publish)
    const precisions = await judgePrecisions(wanted, { bundle, loaded, dataset: own, rows, cache, now })
    return { evaluation: evaluation!, precisions }
  } finally {
    await predictor.close()
  }
}

/** The cells of a version's fields. */
function cellsOf({ folder, manifest }: Bundle, fields: readonly string[], { cells }: Dataset): CellColumn[] {
  return manifest.features.map(({ name }) => {
    const column = cells[fields.indexOf(name)]
    if (column === undefined)
      throw new ModelError(
        'INVALID_BUNDLE',
        `${folder} can't be compared: it has the field ${name}, which the rows lack`,
      )
    return column
  })
}

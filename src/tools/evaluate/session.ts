import { join, resolve } from 'node:path'
import type { RunContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { existingFolder, fileReason, makeFolder, replaceFiles } from '../../base/files.ts'
import { createProgress, type Progress } from '../../base/progress.ts'
import type { Terminal } from '../../base/terminal.ts'
import { closestName } from '../../schemas/closest-name.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { CellColumn } from '../data/columns.ts'
import { type Dataset, type ReadOptions, readDataset } from '../data/dataset.ts'
import { readRowsSpec } from '../data/read-spec.ts'
import type { FieldReading } from '../data/readers.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { tableWarnings } from './describe-table.ts'
import { type EvaluateInput, type Evaluation, evaluate, rowsOfPart } from './evaluate.ts'
import type { JudgeContext, PartName } from './judge-context.ts'
import { listProblems, readingKey, readingsOfModel } from './model-fields.ts'
import { type HistoryVersion, withHistorySource, withModelHistory } from './model-history.ts'
import type { Predictor } from './predictor.ts'
import { answeredByAll, type RowsToScore, type ScoredPart, scoreRows } from './score-rows.ts'
import { servedTables } from './served-entities.ts'

/** The options of all commands about labelled rows, as the command line gives them. */
export interface RowsFlags {
  /** Path or name of the spec of the rows. */
  data: string
  /** Folder of models. */
  models: string
  /** Which rows; default: those of the test part. */
  part?: PartName | undefined
  /** Print JSON instead of text. */
  json: boolean
}

/** The flags with the surroundings of the command. */
export interface RowsOptions extends RowsFlags, RunContext, Pick<JudgeContext, 'command' | 'multigateVersion' | 'now'> {
  /** Folder of named specs. */
  specs: string
  /** Folder of compiled plans. */
  cache: string | undefined
}

/** The options of commands that judge. */
export interface JudgeFlags extends RowsFlags {
  /** Seed of the bootstrap. */
  seed: number
  /** Folder for report.html and report.json. */
  report?: string | undefined
  /** A file of conditions, true for those of the spec. */
  gate?: string | boolean | undefined
}

export interface JudgeOptions extends JudgeFlags, RowsOptions {
  /** Default: on the terminal. */
  progress?: Progress | undefined
  /** How many threads predict at most; default: one per core. */
  threads?: number | undefined
}

/** A command's options, its spec, and the versions that it opens. */
export interface Session extends JudgeOptions {
  loaded: LoadedRows
  progress: Progress
  /** Has a version closed at the end of the command. */
  keep(opening: Promise<Predictor>): Promise<Predictor>
}

/** Runs a command that judges, and closes what it opened. */
export async function withSession(options: JudgeOptions, work: (session: Session) => Promise<number>): Promise<number> {
  const loaded = await readRowsSpec(options.data, options.specs)
  if (options.report !== undefined) await checkReportFolder(options.report)
  const { progress = createProgress(options.err) } = options
  const opened: Predictor[] = []
  const keep = async (opening: Promise<Predictor>) => {
    const predictor = await opening
    opened.push(predictor)
    return predictor
  }
  try {
    return await work({ ...options, loaded, progress, keep })
  } finally {
    progress.stop()
    for (const predictor of opened) await predictor.close()
  }
}

/** Rows for one or several versions, each with its own fields, and keys for its service. */
export interface SharedRows {
  /** The data set as a version needs it: `cells` are those of its fields. */
  datasetOf(predictor: Pick<Predictor, 'fields' | 'served'>): RowsOfVersion
}

/** Rows of one version. */
type RowsOfVersion = Dataset & Pick<RowsToScore, 'keys'>

/** A version as its rows need it; `model`: where its training is known. */
export interface RowsVersion extends Pick<Predictor, 'fields' | 'tables' | 'served'> {
  model?: HistoryVersion
}

/**
 * Reads the rows once, with the fields of all versions, and their history where the spec has none. Features of entities
 * that rows do not have come from tables. Rejects like `readDataset`.
 */
export async function readRowsFor(
  written: LoadedRows,
  versions: readonly RowsVersion[],
  { signal, progress, err }: { signal: AbortSignal; progress: Progress; err?: Terminal },
): Promise<SharedRows> {
  const models = versions.flatMap(({ model }) => model ?? [])
  const { loaded, source } = await withModelHistory(written, models)
  const readings = new Map<string, FieldReading>()
  const readingsFor = ({ fields, served = [] }: RowsVersion) => [
    ...readingsOfModel(fields, loaded.spec),
    ...served.flatMap(({ reading }) => reading ?? []),
  ]
  for (const version of versions) for (const reading of readingsFor(version)) readings.set(readingKey(reading), reading)
  if (!loaded.trains) expectFields(loaded, versions)
  const problems = versions.flatMap(({ fields }) => listProblems(fields, loaded.spec))
  if (problems.length > 0) throw new SpecError(loaded.file, problems)
  const all = [...readings.values()]
  const dataset = await readDataset(loaded, all, {
    signal,
    onProgress: readingProgress(progress),
    entities: versions.flatMap(({ tables }) => tables ?? []),
  }).catch((error) => {
    throw withHistorySource(error, source)
  })
  for (const warning of tableWarnings(dataset.tables)) {
    progress.stop()
    err?.write(`warning: ${warning}\n`)
  }
  const places = new Map(all.map((reading, index) => [readingKey(reading), index]))
  return {
    datasetOf: (version) => {
      const { fields, served = [] } = version
      const columns = readingsFor(version).map(
        (reading) => [reading.name, dataset.cells[places.get(readingKey(reading))!]!] as const,
      )
      const byName = new Map(columns)
      const tables = [
        ...(dataset.tables ?? []),
        ...servedTables(served, ({ entity }) => missingIn(byName.get(entity.key)!, dataset.rows)),
      ]
      return {
        ...dataset,
        cells: columns.slice(0, fields.length).map(([, column]) => column),
        keys: new Map(columns.slice(fields.length)),
        ...(tables.length > 0 && { tables }),
      }
    },
  }
}

/** How many rows have no value. */
function missingIn(column: CellColumn, rows: number): number {
  let missing = 0
  for (let row = 0; row < rows; row++) if (column.at(row) === null) missing++
  return missing
}

/**
 * Throws a SpecError for a field that no version has and that is one of theirs, misspelt. Others may be those of
 * further versions.
 */
function expectFields({ file, spec }: LoadedRows, predictors: readonly Pick<Predictor, 'fields'>[]): void {
  const names = new Set(predictors.flatMap(({ fields }) => fields.map(({ name }) => name)))
  const written = new Set(spec.fields.map(({ name }) => name))
  const problems = spec.fields.flatMap(({ name }, index) => {
    const meant = names.has(name) ? undefined : closestName(name, names)
    if (meant === undefined || written.has(meant)) return []
    return [
      {
        path: `/fields/${index}/name`,
        message: `${JSON.stringify(name)} is no field of the model; did you mean ${meant}?`,
      },
    ]
  })
  if (problems.length > 0) throw new SpecError(file, problems)
}

/** Shows how far the reading of rows is. */
export function readingProgress(progress: Progress | undefined): ReadOptions['onProgress'] {
  return (rows, share) => progress?.rows('reading', rows, share ? Math.round(rows / share) : undefined)
}

/** A version to judge, and its rows. */
export interface JudgedVersion extends Pick<EvaluateInput, 'manifest' | 'brief'> {
  predictor: Predictor
  dataset: RowsOfVersion
}

/** Judges versions on the rows of a part that all of them answer. Rejects like `evaluate`. */
export async function judgeAll(context: JudgeContext, versions: readonly JudgedVersion[]): Promise<Evaluation[]> {
  const scored: ScoredPart[] = []
  for (const { predictor, dataset } of versions)
    scored.push(await scoreRows(predictor, dataset, rowsOfPart(dataset, context.part), context))
  const common = answeredByAll(scored)
  const evaluations: Evaluation[] = []
  for (const [i, version] of versions.entries())
    evaluations.push(await evaluate({ ...context, ...version, scored: common[i]! }))
  return evaluations
}

/**
 * Writes `report.html`, `report.json` and `others`, by name, into a folder: all of them or none. Returns the path of
 * the page. Rejects with INVALID_REQUEST if it can't.
 */
export async function writeReport(
  folder: string,
  report: EvaluationReport,
  others: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { renderReport } = await import('./report/render-report.ts')
  const html = await renderReport(report)
  return writeReportFiles(folder, {
    'report.html': html,
    'report.json': `${JSON.stringify(report, undefined, 2)}\n`,
    ...others,
  })
}

/** The same of files that are written already, by name. */
export async function writeReportFiles(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  const placed = Object.entries(files).map(([name, content]) => [join(folder, name), content] as const)
  try {
    await makeFolder(resolve(folder))
    await replaceFiles(Object.fromEntries(placed))
  } catch (cause) {
    throw unwritable(folder, cause)
  }
  return join(folder, 'report.html')
}

/**
 * Checks that a report can be written into a folder, which need not be there, so that a long evaluation does not end in
 * vain. Rejects with INVALID_REQUEST if it can't.
 */
export async function checkReportFolder(folder: string): Promise<void> {
  await existingFolder(folder).catch((cause) => {
    throw unwritable(folder, cause)
  })
}

function unwritable(path: string, cause: unknown): ModelError {
  return new ModelError('INVALID_REQUEST', `${path} can't be written: ${fileReason(cause)}`, { cause })
}

import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Violation } from '../../base/errors.ts'
import { compareVersions } from '../../base/names.ts'
import type { Terminal } from '../../base/terminal.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import type { CopiedFile } from '../../model/serving/bundle/write.ts'
import { createCalibrator, createDerivedCalculator, multiply } from '../../model/serving/calibration/calibrator.ts'
import { fitCalibration, isotonicPositives, leastOfClass } from '../../model/serving/calibration/fit-calibration.ts'
import { readBundle } from '../../model/serving/version/read-version.ts'
import { signatureFile } from '../../model/serving/version/signature.ts'
import type { DerivedTask, Manifest, Task } from '../../schemas/manifest.ts'
import type { CalibrationMethod } from '../../schemas/train-spec.ts'
import { describeData } from '../data/distributions.ts'
import { rowsProvenance } from '../data/rows-provenance.ts'
import type { LoadedRows } from '../data/source.ts'
import type { JudgeContext } from './judge-context.ts'
import type { TaskRows } from './task-rows.ts'

/* A version that is made of another: the same graph, with something else around it. */

/** The number after the highest version on disk. */
async function nextVersion({ folder, manifest }: Bundle): Promise<string> {
  const [highest = manifest.version] = await versionsOnDisk(dirname(dirname(folder)), manifest.name)
  return String(BigInt(highest) + 1n)
}

/** The number of a version that is made of another, and how it was made. */
export async function madeOf(
  bundle: Bundle,
  made: 'calibration' | 'quantization',
  rows: number,
  { spec }: Pick<LoadedRows, 'spec'>,
  { command, multigateVersion, now }: Pick<JudgeContext, 'command' | 'multigateVersion' | 'now'>,
): Promise<Pick<Manifest, 'version' | 'provenance'>> {
  const { manifest } = bundle
  return {
    version: await nextVersion(bundle),
    provenance: {
      ...manifest.provenance,
      ...rowsProvenance(manifest, spec),
      created: new Date(now()).toISOString(),
      command,
      multigate: multigateVersion,
      [made]: { from: `${manifest.name}/${manifest.version}`, data: describeData(spec.data), rows },
    },
  }
}

/** Files of a version, to be copied. */
export function copiedFiles({ folder, manifest }: Bundle, paths: readonly string[]): Record<string, CopiedFile> {
  return Object.fromEntries(
    paths.map((path) => [path, { from: join(folder, path), sha256: manifest.files[path]! }] as const),
  )
}

/** Says that the new version needs a signature, where the former has one. */
export function warnUnsigned({ folder, manifest }: Bundle, written: string, err: Terminal): void {
  if (!existsSync(join(folder, signatureFile))) return
  err.write(`${manifest.name}/${manifest.version} is signed, the new version is not: multigate sign ${written}\n`)
}

/** The versions of a model on disk, highest first; none if there is no such folder. */
export async function versionsOnDisk(models: string, name: string): Promise<string[]> {
  const folders = await readdir(join(models, name)).catch(() => [])
  return folders.filter((folder) => /^[1-9]\d*$/.test(folder)).sort((a, b) => compareVersions(b, a))
}

/** The highest version on disk below `version`; the highest of all without one. Undefined if there is none. */
export async function previousVersion(models: string, name: string, version?: string): Promise<Bundle | undefined> {
  const below = (await versionsOnDisk(models, name)).filter(
    (folder) => version === undefined || compareVersions(folder, version) < 0,
  )
  return below[0] === undefined ? undefined : readBundle(models, name, below[0])
}

/** Tasks of a version with their calibrations. */
export type CalibratedTasks = Pick<Manifest, 'tasks' | 'derived'>

/** Which tasks to calibrate how, and with which rows. */
export interface FitInput {
  version: CalibratedTasks
  /** The calibration method of a task. */
  methodOf(task: string): CalibrationMethod
  /** Names of the tasks and derived tasks to calibrate. */
  wanted: ReadonlySet<string>
  /** Labelled rows per task; positions index `raw`. */
  rows: readonly TaskRows[]
  /** Probabilities before calibration, per task. */
  raw: Readonly<Record<string, Float64Array>>
  /**
   * Calibrations to take where these rows can't be fitted to: a half of the rows may be too few. Default: a problem.
   */
  otherwise?: CalibratedTasks | undefined
  /** Fits isotonic regression to however few positives. */
  force: boolean
}

/**
 * Fits the calibrations of tasks, then those of derived tasks to the products of what they yield. Tasks that are not
 * wanted keep theirs. Problems: tasks with too few rows of a class, and those whose calibration would reverse the
 * ranking.
 */
export function fitVersion(input: FitInput): { version: CalibratedTasks; problems: Violation[] } {
  const { version, raw } = input
  const problems: Violation[] = []
  const fit = <T extends Task | DerivedTask>(task: T, path: string, values: ArrayLike<number>): T => {
    const rows = input.rows.find(({ name }) => name === task.name)
    if (!input.wanted.has(task.name) || rows === undefined) return task
    const fallback = [...(input.otherwise?.tasks ?? []), ...(input.otherwise?.derived ?? [])]
    const other = fallback.find(({ name }) => name === task.name) as T | undefined
    const few = tooFew(rows, other ? 1 : leastOfClass)
    if (few !== undefined) {
      if (other) return other
      problems.push({ path, message: `${task.name} ${few}` })
      return task
    }
    const method = input.methodOf(task.name)
    if (method === 'isotonic' && rows.positives < isotonicPositives && !input.force && !other) {
      problems.push({ path, message: `${task.name} ${tooFewForIsotonic(rows.positives)}` })
      return task
    }
    const calibration = fitCalibration(method, {
      labels: rows.labels,
      probabilities: Float64Array.from(rows.positions, (position) => values[position]!),
      weights: rows.weights,
      buckets: rows.buckets,
    })
    if (calibration === undefined) {
      if (other) return other
      const message = `${task.name} can't be calibrated: by these rows, a higher prediction does not mean a higher rate; check label and where, or leave it out by --tasks`
      problems.push({ path, message })
      return task
    }
    return { ...task, calibration }
  }
  const tasks = version.tasks.map((task, index) => fit(task, `/tasks/${index}`, raw[task.name]!))
  const served = serveTasks(tasks, raw)
  const derived = version.derived.map((task, index) => fit(task, `/derived/${index}`, productOf(task, served)))
  return { version: { tasks, derived }, problems }
}

function tooFew({ positives, labels }: TaskRows, least: number): string | undefined {
  const negatives = labels.length - positives
  const [found, what] = positives < negatives ? [positives, 'positives'] : [negatives, 'negatives']
  if (found >= least) return undefined
  return `has ${found} ${what} among the rows to fit to; a calibration needs ${least}: ${least - found} are missing; give more rows, or leave it out by --tasks`
}

function tooFewForIsotonic(positives: number): string {
  return `has ${positives} positives among the rows to fit to; isotonic regression needs ${isotonicPositives}, or fits their chance: take --method platt or auto, or --force it`
}

/** The probabilities that a version serves for raw ones, per task and derived task. */
export function serve(
  { tasks, derived }: CalibratedTasks,
  raw: Readonly<Record<string, Float64Array>>,
): Record<string, Float64Array> {
  const served = serveTasks(tasks, raw)
  const rows = Object.values(raw)[0]?.length ?? 0
  for (const task of derived)
    served[task.name] = createDerivedCalculator(task)(
      task.product.map((factor) => served[factor]!),
      rows,
    )
  return served
}

function serveTasks(tasks: readonly Task[], raw: Readonly<Record<string, Float64Array>>): Record<string, Float64Array> {
  return Object.fromEntries(tasks.map(({ name, calibration }) => [name, raw[name]!.map(createCalibrator(calibration))]))
}

function productOf({ product }: DerivedTask, served: Readonly<Record<string, Float64Array>>): Float64Array {
  return multiply(
    product.map((factor) => served[factor]!),
    served[product[0]!]!.length,
  )
}

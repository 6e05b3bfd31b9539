import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { roundedTo } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../../../base/files.ts'
import { check } from '../../../schemas/check.ts'
import { EvaluationReport } from '../../../schemas/evaluation.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'
import type { Bundle } from './read.ts'

/** The report of a version's evaluation, among its files. */
export const evaluationFile = 'evaluation.json'

/** Most bytes of it: the event loop parses it. */
const largest = 2 ** 20

/** Slices kept per task, worst calibrated first. */
const keptSlices = 20

/** Significant digits: an interval has no more. */
const digits = 6

/** A report among the files of its version. None where it would be too large, which takes hundreds of tasks. */
export function evaluationFiles(report: EvaluationReport): Record<string, Uint8Array> {
  const tasks = report.tasks.map((task) => ({ ...task, slices: task.slices.slice(0, keptSlices) }))
  const bytes = Buffer.from(`${JSON.stringify({ ...report, tasks }, roundedTo(digits))}\n`)
  return bytes.byteLength > largest ? {} : { [evaluationFile]: bytes }
}

export const hasEvaluation = ({ manifest }: Pick<Bundle, 'manifest'>): boolean =>
  Object.hasOwn(manifest.files, evaluationFile)

/** Reads the report of a version; undefined if it has none. Rejects with INVALID_BUNDLE where it is malformed. */
export async function readEvaluation({
  folder,
  manifest,
}: Pick<Bundle, 'folder' | 'manifest'>): Promise<EvaluationReport | undefined> {
  const where = `${manifest.name}/${manifest.version}/${evaluationFile}`
  if (!hasEvaluation({ manifest })) return undefined
  let json: unknown
  try {
    const path = join(folder, evaluationFile)
    if ((await sizeOfOrdinary(path)) > largest) return invalid(`${where} is larger than ${largest} bytes`)
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    return invalid(
      `${where} ${cause instanceof SyntaxError ? `is not JSON: ${reasonOf(cause)}` : `can't be read: ${fileReason(cause)}`}`,
    )
  }
  const problems: ProblemItem[] = []
  const report = check(EvaluationReport, json, '', problems) as EvaluationReport
  if (problems.length === 0) return report
  return invalid(
    `${where} is no report of multigate evaluate: ${problems
      .slice(0, 3)
      .map(({ path, message }) => `${path || '/'} ${message}`)
      .join('; ')}`,
  )
}

function invalid(message: string): never {
  throw new ModelError('INVALID_BUNDLE', message)
}

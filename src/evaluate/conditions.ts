import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { publishProblems, unlabelledTasks } from '../data/publish-problems.ts'
import { type LoadedRows, SpecError } from '../data/spec.ts'
import { reasonOf, type Violation } from '../model/base/errors.ts'
import { sizeOfOrdinary } from '../model/base/regular-file.ts'
import { check } from '../schemas/check.ts'
import { Publish } from '../schemas/rows-spec.ts'
import type { PredictorTask } from './predictor.ts'
import { labelledTasks } from './task-rows.ts'

/**
 * The conditions of publishing a version with these tasks: those in the file `gate`, or, if it is true, those under `publish` in the
 * spec. Undefined without `gate`. Rejects with a SpecError for a file that is none, where the spec has none, and for tasks that the
 * rows have no labels of.
 */
export async function readConditions(
  gate: string | boolean | undefined,
  { file, spec }: Pick<LoadedRows, 'file' | 'spec'>,
  tasks: readonly PredictorTask[],
): Promise<Publish | undefined> {
  if (gate === undefined || gate === false) return undefined
  const labelled = labelledTasks(spec, tasks)
  if (gate === true) {
    const missing = { path: '/publish', message: 'is missing: --gate checks the conditions in it' }
    const problems = spec.publish ? unlabelledTasks(spec.publish, '/publish', labelled) : [missing]
    if (problems.length > 0) throw new SpecError(file, problems)
    return spec.publish
  }
  let written: unknown
  try {
    await sizeOfOrdinary(gate)
    written = parse(await readFile(gate, 'utf8'))
  } catch (error) {
    throw new SpecError(gate, [{ path: '', message: `can't be read: ${reasonOf(error)}` }])
  }
  const problems: Violation[] = []
  const publish = check(Publish, written, '', problems) as Publish
  if (problems.length === 0) problems.push(...publishProblems(publish, ''))
  problems.push(...unlabelledTasks(written, '', labelled))
  if (problems.length > 0) throw new SpecError(gate, problems)
  return publish
}

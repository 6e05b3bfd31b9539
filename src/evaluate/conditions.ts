import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { publishProblems } from '../data/publish-problems.ts'
import { type LoadedRows, SpecError } from '../data/spec.ts'
import { reasonOf, type Violation } from '../model/base/errors.ts'
import { check } from '../schemas/check.ts'
import { Publish } from '../schemas/rows-spec.ts'

/**
 * The conditions of publishing: those in the file `gate`, or, if it is true, those under `publish` in the spec. Undefined without
 * `gate`. Rejects with a SpecError for a file that is none, and where the spec has none.
 */
export async function readConditions(
  gate: string | boolean | undefined,
  { file, spec }: Pick<LoadedRows, 'file' | 'spec'>,
): Promise<Publish | undefined> {
  if (gate === undefined || gate === false) return undefined
  if (gate === true) {
    if (spec.publish) return spec.publish
    throw new SpecError(file, [{ path: '/publish', message: 'is missing: --gate checks the conditions in it' }])
  }
  let written: unknown
  try {
    written = parse(await readFile(gate, 'utf8'))
  } catch (error) {
    throw new SpecError(gate, [{ path: '', message: `can't be read: ${reasonOf(error)}` }])
  }
  const problems: Violation[] = []
  const publish = check(Publish, written, '', problems) as Publish
  if (problems.length === 0) problems.push(...publishProblems(publish, ''))
  if (problems.length > 0) throw new SpecError(gate, problems)
  return publish
}

import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { closestName } from '../model/base/closest-name.ts'
import { reasonOf, type Violation } from '../model/base/errors.ts'
import { withCanonicalArchitecture } from '../schemas/architecture.ts'
import { check } from '../schemas/check.ts'
import { TrainSpec } from '../schemas/train-spec.ts'
import { defaultSelection, splitSelection, taskMetrics } from './selection.ts'

/** A spec that can't be used, or data that doesn't fit it: every problem with its place. */
export class SpecError extends Error {
  readonly file: string
  readonly problems: Violation[]

  constructor(file: string, problems: Violation[]) {
    super(
      [`${file}:`, ...problems.map(({ path, message }) => `  ${path === '' ? '' : `${path} `}${message}`)].join('\n'),
    )
    this.name = 'SpecError'
    this.file = file
    this.problems = problems
  }
}

export interface LoadedSpec {
  /** Path of the file it was read from; paths inside it are relative to its folder. */
  file: string
  spec: TrainSpec
}

/**
 * Reads a spec: a path of a YAML or JSON file, or the name of one in `specsFolder`.
 * `extends: other.yaml` takes the keys that a spec lacks from another one, relative to it.
 * Rejects with a SpecError that lists all problems.
 */
export async function readSpec(pathOrName: string, specsFolder: string): Promise<LoadedSpec> {
  const file = locate(pathOrName, specsFolder)
  const problems: Violation[] = []
  const spec = check(TrainSpec, withCanonicalArchitecture(await readExtended(file, [])), '', problems) as TrainSpec
  if (problems.length === 0) problems.push(...contradictions(spec))
  if (problems.length > 0) throw new SpecError(file, problems)
  return { file, spec }
}

function locate(pathOrName: string, specsFolder: string): string {
  if (existsSync(pathOrName) && /\.(ya?ml|json)$/.test(pathOrName)) return pathOrName
  const named = join(specsFolder, `${pathOrName}.yaml`)
  if (existsSync(named)) return named
  const known = existsSync(specsFolder) ? readdirSync(specsFolder).filter((name) => name.endsWith('.yaml')) : []
  const names = known.map((name) => basename(name, '.yaml')).join(', ')
  throw new SpecError(pathOrName, [
    { path: '', message: `no such spec: neither a .yaml or .json file, nor one of ${names || '(none)'}` },
  ])
}

async function readExtended(file: string, seen: string[]): Promise<unknown> {
  if (seen.includes(file)) throw new SpecError(file, [{ path: '/extends', message: 'extends itself' }])
  const value = await readYaml(file)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SpecError(file, [{ path: '', message: 'must be an object' }])
  }
  if (!('extends' in value)) return value
  const { extends: parent, ...own } = value as Record<string, unknown>
  if (typeof parent !== 'string')
    throw new SpecError(file, [{ path: '/extends', message: 'must be the path of a spec' }])
  const inherited = await readExtended(resolve(dirname(file), parent), [...seen, file])
  return { ...(inherited as object), ...own }
}

async function readYaml(file: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new SpecError(file, [{ path: '', message: `can't be read: ${reasonOf(error)}` }])
  }
  // JSON is a subset of YAML 1.2.
  const document = parseDocument(text)
  if (document.errors.length > 0)
    throw new SpecError(
      file,
      document.errors.map(({ message }) => ({ path: '', message })),
    )
  return document.toJS()
}

/** What the schema alone can't say. */
function contradictions({ tasks, derived, fields, split, training }: TrainSpec): Violation[] {
  const problems: Violation[] = []
  const taskNames = new Set<string>()
  const addName = (seen: Set<string>, name: string, path: string) => {
    if (seen.has(name)) problems.push({ path, message: `${JSON.stringify(name)} is taken already` })
    seen.add(name)
  }
  tasks.forEach(({ name }, index) => {
    addName(taskNames, name, `/tasks/${index}/name`)
  })
  derived.forEach(({ product }, index) => {
    product.forEach((name, factor) => {
      if (tasks.some((task) => task.name === name)) return
      problems.push({
        path: `/derived/${index}/product/${factor}`,
        message: `${JSON.stringify(name)} is not one of the tasks${known(
          name,
          tasks.map((task) => task.name),
        )}`,
      })
    })
  })
  derived.forEach(({ name }, index) => {
    addName(taskNames, name, `/derived/${index}/name`)
  })
  const fieldNames = new Set<string>()
  fields.forEach((field, index) => {
    addName(fieldNames, field.name, `/fields/${index}/name`)
    if (field.column !== undefined && field.expression !== undefined) {
      problems.push({ path: `/fields/${index}`, message: 'has both column and expression' })
    }
  })
  const sum = split.train + split.validation + split.test
  if (Math.abs(sum - 1) > 1e-9)
    problems.push({ path: '/split', message: `fractions must sum to 1, not ${Number(sum.toFixed(9))}` })
  const selection = training.select === undefined ? undefined : checkSelection(training.select, tasks)
  if (selection !== undefined) problems.push({ path: '/training/select', message: selection })
  return problems
}

function checkSelection(select: string, tasks: TrainSpec['tasks']): string | undefined {
  if (select === defaultSelection) return undefined
  const names = tasks.map(({ name }) => name)
  const { task, metric } = splitSelection(select)
  if (names.includes(task) && (taskMetrics as readonly string[]).includes(metric)) return undefined
  const all = names.flatMap((name) => taskMetrics.map((known) => `${name}.${known}`))
  return `must name a task and a metric${known(select, [defaultSelection, ...all])}`
}

/** `; known are a, b; did you mean b?` */
function known(wrong: string, names: string[]): string {
  const meant = closestName(wrong, names)
  return `; known are ${names.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Static } from 'typebox'
import { parseDocument } from 'yaml'
import { repeatedIndexes } from '../../base/arrays.ts'
import { reasonOf, type Violation } from '../../base/errors.ts'
import { sizeOfOrdinary } from '../../base/files.ts'
import { optionProblems } from '../../model/graph/architectures/build.ts'
import { sidesOf } from '../../model/graph/architectures/side-inputs.ts'
import { knownNames, withArchitectures, withCanonicalArchitecture } from '../../model/graph/architectures/table.ts'
import { crossedSides } from '../../model/serving/features/crossed.ts'
import { entityProblems } from '../../model/serving/features/entity-problems.ts'
import { check } from '../../schemas/check.ts'
import { didYouMean } from '../../schemas/closest-name.ts'
import { isObject } from '../../schemas/json.ts'
import { type FieldPlace, RowsSpec, RowsTask } from '../../schemas/rows-spec.ts'
import { TrainSpec } from '../../schemas/train-spec.ts'
import { withCrossedApart } from './crossed-apart.ts'
import { unalignedHistories, withHistory, withoutHistory } from './history-fields.ts'
import { openSource } from './open-source.ts'
import { hasParts, partProblems, uselessPast } from './parts.ts'
import { publishProblems, unlabelledTasks } from './publish-problems.ts'
import type { FieldSource } from './readers.ts'
import { referenceProblems } from './references.ts'
import { severalProblems } from './several-problems.ts'
import { type Column, type LoadedRows, type LoadedSpec, type Source, SpecError } from './source.ts'

const CompleteSpec = withArchitectures(TrainSpec)

/**
 * Reads a spec: the path of a YAML or JSON file, or the name of a spec in `specsFolder`. `extends: other.yaml`, a path
 * relative to the spec, inherits the keys that the spec lacks. `complete` adds others, before the spec is checked.
 * Rejects with a SpecError that lists all problems, those of columns and expressions included.
 */
export async function readSpec(
  pathOrName: string,
  specsFolder: string,
  complete: (written: unknown) => unknown = (written) => written,
): Promise<LoadedSpec> {
  const file = locate(pathOrName, specsFolder)
  return checkTrainSpec(file, complete(await readExtended(file, [])))
}

/**
 * Reads what a spec says of its rows; a training spec is one with more in it. Finds and rejects like `readSpec`.
 */
export async function readRowsSpec(pathOrName: string, specsFolder: string): Promise<LoadedRows> {
  const file = locate(pathOrName, specsFolder)
  const written = await readExtended(file, [])
  const isTraining = isObject(written) && ('architecture' in written || 'training' in written)
  if (isTraining && 'fields' in written) {
    const { spec } = await checkTrainSpec(file, written)
    return { file, spec, trains: { name: spec.name, version: String(spec.version) } }
  }
  const problems: Violation[] = []
  const spec = check(RowsSpec, isTraining ? rowsOf(written) : written, '', problems) as RowsSpec
  if (problems.length === 0) problems.push(...contradictionsOfRows(spec))
  if (problems.length > 0) throw new SpecError(file, [...problems, ...(await dataProblems(spec, problems, file))])
  return { file, spec, trains: undefined }
}

/** The rows of a spec that goes on from a version, without what only training needs. */
function rowsOf({ tasks, ...written }: Record<string, unknown>): Record<string, unknown> {
  const own = Array.isArray(tasks) ? tasks.map((task) => (isObject(task) ? only(RowsTask, task) : task)) : tasks
  return { ...only(RowsSpec, written), ...(own !== undefined && { tasks: own }) }
}

const only = ({ properties }: { properties: object }, written: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(written).filter(([name]) => Object.hasOwn(properties, name)))

async function checkTrainSpec(file: string, read: unknown): Promise<LoadedSpec> {
  const written = withCanonicalArchitecture(read)
  const problems: Violation[] = []
  const checked = check(CompleteSpec, written, '', problems) as Static<typeof TrainSpec>
  if (problems.length === 0) {
    const given = checked.fields.filter((field) => field.kind !== 'crossed')
    const crossed = checked.fields.flatMap(({ kind, name }) => (kind === 'crossed' ? [name] : []))
    const { fields, problems: ofHistory } = withHistory(given, checked.history, crossed)
    const spec = withCrossedApart(checked, fields, problems)
    const unaligned = ofHistory.length > 0 ? [] : unalignedHistories(spec.sequences, fields, spec.history)
    const others = unaligned.length > 0 ? unaligned : contradictions(spec)
    problems.push(...ofHistory, ...(ofHistory.length > 0 ? withoutHistory(others, spec) : others))
    if (problems.length === 0) return { file, spec }
  }
  const named = problems.map((problem) => withNames(problem, written))
  throw new SpecError(file, [...named, ...(await dataProblems(checked as Partial<RowsSpec>, named, file))])
}

/** Problems of a spec's data, columns and expressions, where nothing else is wrong. */
async function dataProblems(spec: Partial<RowsSpec>, problems: Violation[], file: string): Promise<Violation[]> {
  const found: Violation[] = []
  let source: Source | undefined
  if (!problems.some(({ path }) => path.startsWith('/data')))
    try {
      source = await openSource(spec.data!, file)
    } catch (error) {
      if (!(error instanceof SpecError)) throw error
      found.push(...error.problems)
    }
  found.push(...referenceProblems(spec, uncheckedFields(spec.fields), source && withEntityColumns(source, spec)))
  return found.filter(({ path }) => !problems.some((problem) => problem.path === path))
}

/** The columns with those that tables would add, as their fields read them. Parts of a wrong shape are left out. */
function withEntityColumns({ columns, unusable = [] }: Source, spec: unknown): Pick<Source, 'columns' | 'unusable'> {
  const { entities, fields } = spec as Partial<TrainSpec>
  const added = (isObject(entities) ? Object.values(entities) : []).flatMap((entity): Column[] => {
    const features = isObject(entity) && Array.isArray(entity.features) ? entity.features : []
    return features.map((name) => {
      const field = Array.isArray(fields) ? fields.find((one) => isObject(one) && one.name === name) : undefined
      const isList = field?.kind === 'vector' || field?.list !== undefined
      const isNumber = field?.kind === 'numeric' || field?.kind === 'integer'
      return { name: String(name), type: isList ? 'list' : isNumber ? 'double' : 'string' }
    })
  })
  const known = new Set([...columns, ...unusable].map(({ name }) => name))
  return { columns: [...columns, ...added.filter(({ name }) => !known.has(name))], unusable }
}

/** Fields of a spec that may be invalid: those of a wrong shape are left out. */
function uncheckedFields(fields: unknown): FieldSource[] {
  if (!Array.isArray(fields)) return []
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  return fields.flatMap((field, index): FieldSource[] => {
    const name = isObject(field) ? text(field.name) : undefined
    if (name === undefined || field.kind === 'crossed') return []
    const { column, expression } = field
    return [{ name, path: `/fields/${index}`, column: text(column), expression: text(expression) }]
  })
}

/** An unknown architecture: lists aliases too. */
function withNames(problem: Violation, spec: unknown): Violation {
  if (problem.path !== '/architecture/name') return problem
  const name = isObject(spec) && isObject(spec.architecture) ? spec.architecture.name : undefined
  const message = `must name an architecture${known(typeof name === 'string' ? name : '', knownNames)}`
  return { ...problem, message }
}

function locate(pathOrName: string, specsFolder: string): string {
  if (existsSync(pathOrName) && /\.(ya?ml|json)$/.test(pathOrName)) return pathOrName
  const named = join(specsFolder, `${pathOrName}.yaml`)
  if (existsSync(named)) return named
  const files = existsSync(specsFolder) ? readdirSync(specsFolder).filter((name) => name.endsWith('.yaml')) : []
  const names = files.map((name) => basename(name, '.yaml'))
  const suggestion = didYouMean(pathOrName, names)
  const message = `no such spec: neither a .yaml or .json file nor one of ${names.join(', ') || '(none)'}${suggestion}`
  throw new SpecError(pathOrName, [{ path: '', message }])
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
    await sizeOfOrdinary(file)
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

/** Contradictions that the schema can't express. */
function contradictions({ tasks, derived, fields, crossed, training, ...spec }: TrainSpec): Violation[] {
  const problems = contradictionsOfRows({ tasks, fields: [...fields, ...crossed], ...spec })
  problems.push(...uselessPast(spec))
  if (!hasParts(spec)) problems.push({ path: '/split', message: 'is required' })
  const names = tasks.map((task) => task.name)
  problems.push(...unlabelledTasks(spec.publish, '/publish', [...names, ...derived.map(({ name }) => name)]))
  derived.forEach(({ name, product }, index) => {
    if ([...names, ...derived.slice(0, index).map((task) => task.name)].includes(name))
      problems.push({ path: `/derived/${index}/name`, message: `${JSON.stringify(name)} is already used` })
    product.forEach((factor, i) => {
      if (names.includes(factor)) return
      const message = `${JSON.stringify(factor)} is not one of the tasks${known(factor, names)}`
      problems.push({ path: `/derived/${index}/product/${i}`, message })
    })
  })
  tasks.forEach(({ name, entire_space }, index) => {
    entire_space?.forEach((factor, i) => {
      const path = `/tasks/${index}/entire_space/${i}`
      if (factor === name) problems.push({ path, message: 'is the task itself, which its product contains already' })
      else if (!names.includes(factor))
        problems.push({ path, message: `${JSON.stringify(factor)} is not one of the tasks${known(factor, names)}` })
    })
  })
  const about = { tasks: names, sides: sidesOf([...fields, ...crossedSides(crossed, fields)]) }
  for (const { path, message } of spec.architecture ? optionProblems(spec.architecture, about) : [])
    problems.push({ path: `/architecture${path}`, message })
  problems.push(...entityProblems(fields, spec.entities))
  problems.push(
    ...severalProblems(fields, spec.sequences, spec.architecture !== undefined),
    ...uselessOptions(training, fields),
  )
  const selection = training.select === undefined ? undefined : checkSelection(training.select, tasks)
  if (selection !== undefined) problems.push({ path: '/training/select', message: selection })
  return problems
}

/** Options that would do nothing, or nothing sensible. */
function uselessOptions(training: TrainSpec['training'], fields: TrainSpec['fields']): Violation[] {
  const problems: Violation[] = []
  if (training.task_epochs !== undefined && (training.select ?? defaultSelection) !== defaultSelection)
    problems.push({
      path: '/training/task_epochs',
      message: 'contradicts select, which keeps one epoch for all tasks: leave one out',
    })
  if (training.tables_learning_rate !== undefined && training.tables !== 'adagrad')
    problems.push({ path: '/training/tables_learning_rate', message: 'has no effect without tables: adagrad' })
  if (training.weight_decay * training.learning_rate >= 1) {
    const message = `must be below ${1 / training.learning_rate}, at which a step would take away all of a weight`
    problems.push({ path: '/training/weight_decay', message })
  }
  fields.forEach((field, index) => {
    if (field.kind === 'numeric' && field.clip !== undefined && field.scaling !== 'standard')
      problems.push({ path: `/fields/${index}/clip`, message: 'has no effect without scaling: standard' })
  })
  return problems
}

function contradictionsOfRows({ data, tasks, fields, split, group, publish, history }: RowsSpec): Violation[] {
  const problems = [...repeated(tasks, '/tasks'), ...repeated(fields, '/fields')]
  problems.push(...readTwice(fields, '/fields'), ...readTwice(history?.outcomes ?? [], '/history/outcomes'))
  problems.push(...publishProblems(publish, '/publish'), ...partProblems({ data, split }))
  if (split?.by === 'group' && group === undefined)
    problems.push({ path: '/split/by', message: 'needs a column of groups: name it as `group`' })
  return problems
}

/** Problems of what says both of two places where its values are. */
function readTwice(all: readonly Pick<FieldPlace, 'column' | 'expression'>[], path: string): Violation[] {
  return all.flatMap(({ column, expression }, index) =>
    column === undefined || expression === undefined
      ? []
      : [{ path: `${path}/${index}`, message: 'has both column and expression' }],
  )
}

function repeated(named: readonly { name: string }[], path: string): Violation[] {
  return repeatedIndexes(named.map(({ name }) => name)).map((index) => ({
    path: `${path}/${index}/name`,
    message: `${JSON.stringify(named[index]!.name)} is already used`,
  }))
}

function checkSelection(select: string, tasks: TrainSpec['tasks']): string | undefined {
  if (select === defaultSelection) return undefined
  const names = tasks.map(({ name }) => name)
  const { task, metric } = splitSelection(select)
  if (names.includes(task) && (taskMetrics as readonly string[]).includes(metric)) return undefined
  const all = names.flatMap((name) => taskMetrics.map((known) => `${name}.${known}`))
  return `must name a task and a metric${known(select, [defaultSelection, ...all])}`
}

/** `: a, b; did you mean b?` */
function known(wrong: string, names: string[]): string {
  return `: ${names.join(', ')}${didYouMean(wrong, names)}`
}

/** Default metric that decides which epoch is kept. */
export const defaultSelection = 'normalised_entropy'

/** Metrics of one task that a spec may name, as `ctr.auc`. */
export const taskMetrics = ['auc', 'logloss', 'normalised_entropy'] as const
export type TaskMetric = (typeof taskMetrics)[number]

/** `ctr.auc` → ctr, auc. Task names may contain dots. */
export function splitSelection(select: string): { task: string; metric: string } {
  const dot = select.lastIndexOf('.')
  return { task: select.slice(0, Math.max(0, dot)), metric: select.slice(dot + 1) }
}

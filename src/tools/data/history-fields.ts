import { repeatedIndexes } from '../../base/arrays.ts'
import type { Violation } from '../../base/errors.ts'
import { notAField } from '../../base/names.ts'
import { longestFieldName } from '../../schemas/features.ts'
import { type History, historyField } from '../../schemas/history.ts'
import { isObject } from '../../schemas/json.ts'
import { type ListOptions, longestList } from '../../schemas/list-options.ts'
import type { Pooling, TrainField } from '../../schemas/train-fields.ts'
import type { TrainSequence } from '../../schemas/train-sequences.ts'
import type { FieldReading } from './readers.ts'
import { tableOf } from './several-problems.ts'

/**
 * Fields with the lists of a history, which come last, and problems of what the history names. `crossed`: names of
 * crossed fields, which are in no history.
 */
export function withHistory(
  fields: readonly TrainField[],
  history: History | undefined,
  crossed: readonly string[] = [],
): { fields: TrainField[]; problems: Violation[] } {
  if (history === undefined) return { fields: [...fields], problems: [] }
  const problems: Violation[] = []
  const lists = history.of.flatMap((name, i) => {
    const list = listOf(name, fields, history)
    const own = typeof list === 'string' ? list : nameProblem(list)
    const problem = crossed.includes(name) ? `${JSON.stringify(name)} is crossed: name the fields it is of` : own
    if (problem !== undefined) problems.push({ path: `/history/of/${i}`, message: problem })
    return typeof list === 'string' ? [] : [list]
  })
  if (history.max !== undefined && problems.length === 0 && !lists.some(isUnaligned))
    problems.push({ path: '/history/max', message: 'has no effect: no field of the history is a list' })
  const numbers = [
    ...(history.outcomes ?? []).map(({ name }, i) => ({
      name,
      scaling: 'standard' as const,
      path: `/history/outcomes/${i}/name`,
    })),
    ...(history.ages === undefined ? [] : [{ name: history.ages, scaling: 'none' as const, path: '/history/ages' }]),
  ]
  for (const { name, scaling, path } of numbers) {
    const list = numbersOf(name, scaling, history)
    const problem = nameProblem(list)
    if (problem !== undefined) problems.push({ path, message: problem })
    lists.push(list)
  }
  const twice = repeatedIndexes(lists.map(({ name }) => name))
  for (const index of problems.length === 0 ? twice : [])
    problems.push({
      path: numbers[index - history.of.length]!.path,
      message: `${JSON.stringify(lists[index]!.name)} is a list of the history already`,
    })
  const names = new Set(lists.map(({ name }) => name))
  fields.forEach(({ name }, index) => {
    if (names.has(name))
      problems.push({ path: `/fields/${index}/name`, message: `${JSON.stringify(name)} is a list of the history` })
  })
  const others = fields.filter(({ name }) => !names.has(name)).map((field) => withPadding(field, lists))
  return { fields: [...others, ...lists], problems }
}

/** Names of the lists that a history makes of the rows, which may be invalid. */
export function historyLists({ name = 'history', of, outcomes, ages }: Record<string, unknown>): string[] {
  const named = Array.isArray(outcomes) ? outcomes.map((outcome) => isObject(outcome) && outcome.name) : []
  return [...(Array.isArray(of) ? of : []), ...named, ...(ages === undefined ? [] : [ages])].map(
    (field) => `${name}_${field}`,
  )
}

function nameProblem({ name }: TrainField): string | undefined {
  return name.length > longestFieldName
    ? `makes a list whose name has more than ${longestFieldName} characters`
    : undefined
}

/** Lists of a hash field that is none need a row of its table for padding. */
function withPadding(field: TrainField, lists: readonly TrainField[]): TrainField {
  if (field.kind !== 'hash' || field.list !== undefined) return field
  return lists.some((list) => list.kind === 'shared' && list.table === field.name) ? { ...field, padded: true } : field
}

/** Problems of sequences that would attend to the values of lists, of which rows have any number. */
export function unalignedHistories(
  sequences: readonly TrainSequence[] = [],
  fields: readonly TrainField[],
  history: History | undefined,
): Violation[] {
  if (history === undefined) return []
  const made = history.of.map((of) => fields.find(({ name }) => name === historyField(history, of)))
  const lists = made.flatMap((list, i) => (list && isUnaligned(list) ? [{ list, of: history.of[i]! }] : []))
  const aligned = made.filter((list) => list && !isUnaligned(list)) as TrainField[]
  return sequences.flatMap(({ name, attention, target = [] }, index): Violation[] => {
    if (name !== history.name || attention === 'none' || lists.length === 0) return []
    if (aligned.length === 0) {
      const message = `has nothing to attend to: ${history.of.join(' and ')} ${lists.length > 1 ? 'are lists' : 'is a list'}, of which each earlier row has any number of values, so that they are pooled and in no sequence`
      return [{ path: `/sequences/${index}/name`, message }]
    }
    return target.flatMap((one, i): Violation[] => {
      const field = fields.find((candidate) => candidate.name === one)
      if (field === undefined || aligned.some((list) => tableOf(list) === tableOf(field))) return []
      const same = lists.find(({ list }) => tableOf(list) === tableOf(field))
      if (same === undefined) return []
      const message = `${JSON.stringify(one)} can't be compared with ${same.list.name}: ${same.of} is a list, of which each earlier row has any number of values, so that they are pooled and in no sequence`
      return [{ path: `/sequences/${index}/target/${i}`, message }]
    })
  })
}

/** Problems without those of the sequence of a history that has problems itself: they may follow from what it lacks. */
export function withoutHistory(
  problems: readonly Violation[],
  { sequences = [], history }: { sequences?: readonly TrainSequence[]; history?: History | undefined },
): Violation[] {
  const made = sequences.flatMap(({ name }, index) => (name === history?.name ? [`/sequences/${index}/`] : []))
  return problems.filter(({ path }) => !made.some((sequence) => path.startsWith(sequence)))
}

/** Whether a list of a history has any number of values for each earlier row. */
const isUnaligned = (field: TrainField): boolean => field.kind !== 'vector' && field.sequence === undefined

/** The list of a field's earlier values; as a string, why there can be none. */
function listOf(of: string, fields: readonly TrainField[], history: History): TrainField | string {
  const field = fields.find(({ name }) => name === of)
  const name = JSON.stringify(of)
  if (field === undefined)
    return notAField(
      of,
      fields.map((one) => one.name),
    )
  if (field.kind === 'vector') return `${name} is a vector, of which there are no lists`
  if (field.kind === 'numeric' && field.list !== undefined)
    return `${name} is a list of numbers, which do not show how many of them there are`
  const common = {
    name: historyField(history, of),
    side: 'context' as const,
    missing: { default: [] },
    ...(field.list === undefined ? ofRows(history) : ofLists(history, field.list, field.pooling)),
  }
  if (field.kind === 'numeric') {
    const { kind, scaling, clip } = field
    return { ...common, kind, scaling, ...(clip !== undefined && { clip }) }
  }
  const table = field.kind === 'shared' ? field.table : of
  const owner = fields.find((one) => one.name === table)
  // No value of a hash is unknown.
  return { ...common, kind: 'shared', table, ...(owner?.kind !== 'hash' && { out_of_vocabulary: 'drop' }) }
}

/** One value for each earlier row. */
function ofRows({ name, last }: History) {
  return { list: { max: last, keep: 'last' as const }, sequence: name }
}

/** All values of the lists of earlier rows. */
function ofLists({ last, max }: History, { max: ofRow, weighted }: ListOptions, pooling: Pooling | undefined) {
  const most = max ?? Math.min(longestList, last * ofRow)
  const list = { max: most, keep: 'last' as const, ...(weighted && { weighted }) }
  return { list, ...(pooling && { pooling }) }
}

/** The list of what came of earlier rows, or of how long ago they were. */
function numbersOf(name: string, scaling: 'standard' | 'none', history: History): TrainField {
  return {
    name: historyField(history, name),
    kind: 'numeric',
    side: 'context',
    scaling,
    missing: { default: [] },
    list: { max: history.last, keep: 'last' },
    sequence: history.name,
  }
}

/** Where the numbers of a history's list of outcomes, or of ages, are; undefined for other fields. */
export function outcomeReading(name: string, history: History | undefined): FieldReading | undefined {
  if (history?.ages !== undefined && historyField(history, history.ages) === name)
    return { name, path: '/history/ages', kind: 'number', column: history.order, history: 'ages' }
  const index = history?.outcomes?.findIndex((one) => historyField(history, one.name) === name) ?? -1
  const outcome = history?.outcomes?.[index]
  if (outcome === undefined) return undefined
  const { expression } = outcome
  const column = expression === undefined ? (outcome.column ?? outcome.name) : undefined
  return { name, path: `/history/outcomes/${index}`, kind: 'number', column, expression, history: true }
}

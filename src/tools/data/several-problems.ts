import { repeatedIndexes } from '../../base/arrays.ts'
import type { Violation } from '../../base/errors.ts'
import { notAField, suggestNames } from '../../base/names.ts'
import { tableProblems } from '../../model/serving/features/table.ts'
import type { Field } from '../../schemas/features.ts'
import type { TrainField } from '../../schemas/train-fields.ts'
import type { TrainSequence } from '../../schemas/train-sequences.ts'

/**
 * Contradictions among the lists, vectors, shared tables and sequences of a training spec. `isNew`: of a network that
 * is made by the spec.
 */
export function severalProblems(
  fields: readonly TrainField[],
  sequences: readonly TrainSequence[] = [],
  isNew = true,
): Violation[] {
  const problems = fields.flatMap((field, index) =>
    [...uselessOptions(field, sequences), ...(isNew ? newListProblems(field, fields) : [])].map(
      ({ path, message }) => ({
        path: `/fields/${index}${path}`,
        message,
      }),
    ),
  )
  for (const problem of tableProblems(fields.map(describedField))) {
    const [, path, message] = /^(\/\S*) (.*)$/.exec(problem)!
    problems.push({ path: `/fields${path}`, message: message! })
  }
  const names = sequences.map(({ name }) => name)
  for (const index of repeatedIndexes(names))
    problems.push({ path: `/sequences/${index}/name`, message: `${JSON.stringify(names[index])} is already used` })
  // The table of a target follows from fields without problems.
  if (problems.length > 0) return problems
  return sequences.flatMap((sequence, index) =>
    sequenceProblems(sequence, fields).map(({ path, message }) => ({ path: `/sequences/${index}${path}`, message })),
  )
}

/** A vocabulary may have as many values as the data. */
const anyValues = new Array<string>(2 ** 30)

/** A field as a manifest has it, before anything is known of the data. */
function describedField(field: TrainField): Field {
  const described = { ...field, values: anyValues, scaling: { method: 'none' } }
  return described as unknown as Field
}

type Several = Exclude<TrainField, { kind: 'vector' }>

const isList = (field: TrainField): boolean => field.kind !== 'vector' && field.list !== undefined

function uselessOptions(field: TrainField, sequences: readonly TrainSequence[]): Violation[] {
  if (field.kind === 'vector') return []
  const problems: Violation[] = []
  const useless = (option: string, why: string) =>
    problems.push({ path: `/${option}`, message: `has no effect ${why}` })
  if (field.list === undefined) {
    if (field.pooling !== undefined) useless('pooling', 'without list')
    if (field.weights !== undefined) useless('weights', 'without list')
    return problems
  }
  if (field.weights !== undefined && field.list.weighted !== true) useless('weights', 'without weighted: true in list')
  if (field.expression !== undefined)
    problems.push({ path: '/expression', message: 'yields one value, and the field is a list: name its column' })
  const attended = sequences.find(({ name, attention }) => name === field.sequence && attention !== 'none')
  if (attended && field.pooling !== undefined)
    useless('pooling', `where the sequence ${JSON.stringify(attended.name)} has attention`)
  return problems
}

/** Problems of a list for a new network. */
function newListProblems(field: TrainField, fields: readonly TrainField[]): Violation[] {
  const problems: Violation[] = []
  const owner = field.kind === 'shared' && field.list ? fields.find(({ name }) => name === field.table) : undefined
  if (owner && 'out_of_vocabulary' in owner && !isList(owner) && owner.out_of_vocabulary === 'error')
    problems.push({
      path: '/table',
      message: `${JSON.stringify(owner.name)} has no row for padding, whose id would be that of its first value: give it out_of_vocabulary: bucket`,
    })
  if (field.kind !== 'numeric' || field.list === undefined) return problems
  if (field.bins !== undefined)
    problems.push({ path: '/bins', message: 'are those of one number, and the field is a list' })
  if (!membersOf(field.sequence, fields).some(({ kind }) => kind !== 'numeric'))
    problems.push({
      path: '/sequence',
      message: 'must name a sequence that has a list of ids, too: numbers do not show how many of them there are',
    })
  return problems
}

/** The lists of a sequence. */
function membersOf(sequence: string | undefined, fields: readonly TrainField[]): Several[] {
  return sequence === undefined
    ? []
    : (fields.filter((field) => field.kind !== 'vector' && field.list && field.sequence === sequence) as Several[])
}

/** The name of the field that owns a field's table. */
export const tableOf = (field: TrainField): string => (field.kind === 'shared' ? field.table : field.name)

/** Paths are below the sequence. */
function sequenceProblems(sequence: TrainSequence, fields: readonly TrainField[]): Violation[] {
  const { name, attention, target } = sequence
  const problems: Violation[] = []
  const members = membersOf(name, fields)
  if (members.length === 0) {
    const known = [...new Set(fields.flatMap((field) => (field.kind === 'vector' ? [] : (field.sequence ?? []))))]
    const message = `no field is of the sequence ${JSON.stringify(name)}${suggestNames(name, known)}`
    return [{ path: '/name', message }]
  }
  const own: readonly string[] = optionsOf[attention]
  for (const option of Object.keys(sequence))
    if (!['name', 'attention', ...own].includes(option))
      problems.push({ path: `/${option}`, message: `has no effect with attention: ${attention}` })
  if (attention === 'none') return problems
  if (target === undefined)
    return [...problems, { path: '/target', message: `is what ${attention} compares items with` }]
  const aged = agesProblem(sequence, members)
  if (aged !== undefined) problems.push({ path: '/ages', message: aged })
  if (attention === 'time_decay' && sequence.half_lives === undefined)
    problems.push({ path: '/half_lives', message: 'says after how long items count half, in the unit of ages' })
  const weighted = members.find(({ list }) => list!.weighted)
  if (weighted !== undefined)
    problems.push({
      path: '/attention',
      message: `weighs items itself, and ${weighted.name} has weights: leave one out`,
    })
  const tables = members.flatMap((member) => (member.kind === 'numeric' ? [] : [tableOf(member)]))
  target.forEach((one, i) => {
    const message = targetProblem(one, tables, fields, target.slice(0, i))
    if (message !== undefined) problems.push({ path: `/target/${i}`, message })
  })
  return problems
}

/** The options that each kind of attention has. */
const optionsOf = {
  none: [],
  dot_product: ['target'],
  multi_head: ['target', 'heads', 'dim'],
  din: ['target', 'dims', 'activation'],
  time_decay: ['target', 'heads', 'ages', 'half_lives'],
} satisfies Record<TrainSequence['attention'], Exclude<keyof TrainSequence, 'name' | 'attention'>[]>

function agesProblem({ ages, attention }: TrainSequence, members: readonly Several[]): string | undefined {
  if (attention !== 'time_decay') return undefined
  const numbers = members.filter(({ kind }) => kind === 'numeric')
  if (ages === undefined) return 'is a list of numbers of the sequence: how long ago each item was'
  const field = numbers.find(({ name }) => name === ages)
  if (field === undefined) {
    const names = numbers.map(({ name }) => name)
    return `${JSON.stringify(ages)} is no list of numbers of the sequence${suggestNames(ages, names)}`
  }
  return 'scaling' in field && field.scaling === 'none'
    ? undefined
    : `${JSON.stringify(ages)} must have scaling: none, since half_lives are in its unit`
}

/** `tables`: of the sequence's lists; `before`: targets before it. */
function targetProblem(
  target: string,
  tables: readonly string[],
  fields: readonly TrainField[],
  before: readonly string[],
): string | undefined {
  const field = fields.find(({ name }) => name === target)
  const name = JSON.stringify(target)
  if (field === undefined)
    return notAField(
      target,
      fields.map((one) => one.name),
    )
  if (isList(field) || field.kind === 'vector' || field.kind === 'numeric')
    return `${name} is ${isList(field) ? 'a list' : `a ${field.kind} field`}: items are compared with one id`
  const table = tableOf(field)
  const owners = [...new Set(tables)].join(', ')
  if (!tables.includes(table))
    return `${name} is of another table than the lists of the sequence, whose tables are those of ${owners}: let one of them share it (kind: shared, table: ${table})`
  const taken = before.filter((other) => {
    const same = fields.find((one) => one.name === other)
    return same !== undefined && tableOf(same) === table
  }).length
  if (taken < tables.filter((one) => one === table).length) return undefined
  return `${name} is compared with a list that another target is compared with`
}

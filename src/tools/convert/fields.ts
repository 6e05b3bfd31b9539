import { ModelError } from '../../base/errors.ts'
import { idsOf, inputFields, type OwnedField, tableProblems } from '../../model/serving/features/table.ts'
import { didYouMean } from '../../schemas/closest-name.ts'
import { type Field, isDense, type Side } from '../../schemas/features.ts'
import { widthOf } from './input-roles.ts'
import type { IdRange, ImportedModel, SparseColumn } from './keras/imported-model.ts'

export interface FieldChoice {
  /** Fields given by the user; default: plain ones. */
  features: Field[] | undefined
  /** Without features: number of ids of each sparse field. */
  sizes: number[] | undefined
  /** Without features: names of context and cross fields. */
  sides: { context: string[]; cross: string[] }
  /** Accept rows of a table that belong to no field. */
  allowUnused: boolean
}

export interface ChosenFields {
  features: Field[]
  /** Per sparse field. */
  ranges: IdRange[]
  /** Whether each field's ids begin at row 0; otherwise they follow each other in one table. */
  ownIds: boolean
  /** Decisions, for people. */
  notes: string[]
}

/** Largest table that repeats rows of the model's own tables, bytes. */
const largestRepeated = 256 * 1024 * 1024

/**
 * Chooses the fields of an imported model and assigns rows of its tables to their ids.
 *
 * Columns that share a table use consecutive ranges if their sizes add up to its rows. Without sizes, or if each size
 * equals the table, every column may use every row. Throws INVALID_REQUEST if the number of fields is wrong, if they
 * have more ids than the model has rows, or if they leave rows unused without `allowUnused`: a field that is too small
 * shifts all later ids.
 */
export function chooseFields(model: ImportedModel, choice: FieldChoice): ChosenFields {
  const { features = plainFields(model, choice) } = choice
  const problems = tableProblems(features)
  if (problems.length > 0)
    throw new ModelError('INVALID_REQUEST', problems.map((problem) => `/features${problem}`).join('; '))
  // A list is the same field in each of its columns.
  const columns = inputFields(features).flatMap((field) => Array.from({ length: widthOf(field) }, () => field))
  const sparse = columns.flatMap((field) => (isDense(field) ? [] : [field as OwnedField]))
  const counted = { columns: columns.length > features.length ? 'columns' : 'fields' }
  expectCount('sparse', model.sparse.length, sparse.length, counted)
  expectCount('numeric', model.dense.length, columns.length - sparse.length, counted)
  const notes: string[] = []
  const known = choice.features !== undefined || choice.sizes !== undefined
  const ranges: IdRange[] = []
  for (const table of new Set(model.sparse.map(({ table }) => table))) {
    const columns = model.sparse.flatMap((column, i) => (column.table === table ? [i] : []))
    const readers = new Map(columns.map((i) => [sparse[i]!, [model.sparse[i]!, sparse[i]!] as const]))
    const found = rangesOf([...readers.values()], { known, allowUnused: choice.allowUnused }, notes)
    const own = new Map([...readers.keys()].map((field, i) => [field, found[i]!]))
    for (const i of columns) ranges[i] = own.get(sparse[i]!)!
  }
  const ownIds = ranges.length > 0 && ranges.every(({ first }) => first === 0)
  const several = sparse.find(({ list, owner }) => list !== undefined || owner !== undefined)
  if (several !== undefined && !ownIds)
    throw new ModelError(
      'INVALID_REQUEST',
      `the field ${several.name} is a list, or shares a table, but other fields divide a table: give each field all rows of its table, or list its columns as fields`,
    )
  const bytes = ownIds ? 0 : ranges.reduce((sum, { ids }) => sum + ids, 0) * model.tableWidth * 4
  // With own ids the model keeps its tables, and no row is stored twice.
  if (bytes > largestRepeated && notes.some((note) => note.includes(everyRow)))
    throw new ModelError(
      'INVALID_REQUEST',
      `some fields divide a table and others use all of theirs, which needs a table of ${bytes} bytes: give every field its own range`,
    )
  return { features, ranges, ownIds, notes }
}

const everyRow = 'each may use every row'

function rangesOf(
  fields: (readonly [SparseColumn, OwnedField])[],
  { known, allowUnused }: { known: boolean; allowUnused: boolean },
  notes: string[],
): IdRange[] {
  const sizes = fields.map(([, field]) => idsOf(field))
  const rows = fields[0]![0].rows
  const total = sizes.reduce((sum, ids) => sum + ids, 0)
  fields.forEach(([, { name }], i) => {
    if (sizes[i]! > rows)
      throw new ModelError('INVALID_REQUEST', `the field ${name} has ${sizes[i]} ids, but its table has ${rows} rows`)
  })
  const names =
    fields.length === 1
      ? `the field ${fields[0]![1].name} has`
      : `${fields.length} fields, ${fields[0]![1].name} to ${fields.at(-1)![1].name},`
  if (fields.length > 1 && total > rows) {
    if (known && !allowUnused && sizes.some((ids) => ids !== rows))
      throw new ModelError(
        'INVALID_REQUEST',
        `${names} have ${total} ids, but share a table of ${rows} rows: sizes must add up to ${rows}, or each must be ${rows} if every field uses every row; with --allow-unused each field's ids begin at row 0 (${listed(fields, sizes)})`,
      )
    notes.push(
      known
        ? `${names} have ${total} ids and share a table of ${rows} rows: ${everyRow}`
        : `${names} share a table of ${rows} rows: ${everyRow}, unless --sizes or --features give their sizes`,
    )
    return sizes.map((ids) => ({ first: 0, ids }))
  }
  if (total < rows) {
    if (!allowUnused)
      throw new ModelError(
        'INVALID_REQUEST',
        `${fields.length === 1 ? names : `${names} have`} ${total} ids, but the table has ${rows} rows: a field that is too small shifts the ids after it; give the sizes that the model was trained with, or --allow-unused to leave the last ${rows - total} unused (${listed(fields, sizes)})`,
      )
    notes.push(`the last ${rows - total} of ${rows} rows of a table belong to no field`)
  }
  let first = 0
  return sizes.map((ids) => {
    const range = { first, ids }
    first += ids
    return range
  })
}

/** `country 9, device 52, … 29 more` */
function listed(fields: (readonly [SparseColumn, OwnedField])[], sizes: number[]): string {
  const most = 40
  const shown = fields.slice(0, most).map(([, { name }], i) => `${name} ${sizes[i]}`)
  return [...shown, ...(fields.length > most ? [`… ${fields.length - most} more`] : [])].join(', ')
}

/** Fields with the model's own ids and unscaled numbers. */
function plainFields({ sparse, dense }: ImportedModel, { sizes, sides }: FieldChoice): Field[] {
  if (sizes !== undefined) expectCount('sparse', sparse.length, sizes.length, { subject: '--sizes has' })
  const names = fieldNames([...sparse.map(({ name }) => name), ...dense])
  for (const name of [...sides.context, ...sides.cross])
    if (!names.includes(name)) throw new ModelError('INVALID_REQUEST', unknownField(name, names))
  const side = (name: string): Side =>
    sides.context.includes(name) ? 'context' : sides.cross.includes(name) ? 'cross' : 'candidate'
  return names.map((name, i): Field => {
    const common = { name, side: side(name), missing: 'error' as const }
    return i < sparse.length
      ? { ...common, kind: 'integer', size: sizes?.[i] ?? sparse[i]!.rows, out_of_vocabulary: 'error' }
      : { ...common, kind: 'numeric', scaling: { method: 'none' } }
  })
}

/** For `--context` and `--cross`. */
export function unknownField(name: string, known: string[]): string {
  return `there is no field ${JSON.stringify(name)}; the fields are ${known.join(', ')}${didYouMean(name, known)}`
}

/** Makes names unique and avoids reserved ones. */
function fieldNames(wanted: string[]): string[] {
  const taken = new Set(['id', 'bid', '__proto__'])
  return wanted.map((name) => {
    let free = name
    for (let n = 1; taken.has(free); n++) free = `${name}_${n}`
    taken.add(free)
    return free
  })
}

function expectCount(
  kind: string,
  expected: number,
  given: number,
  { subject = 'the features have', columns = 'fields' } = {},
) {
  if (expected !== given)
    throw new ModelError('INVALID_REQUEST', `${subject} ${given} ${kind} ${columns}, but the model takes ${expected}`)
}

import { closestName } from '../model/base/closest-name.ts'
import { ModelError } from '../model/base/errors.ts'
import { idsOf } from '../model/features/field.ts'
import type { Field, Side, SparseField } from '../schemas/features.ts'
import type { IdRange, ImportedModel, SparseColumn } from './keras/imported-model.ts'

export interface FieldChoice {
  /** Fields that were said, with vocabularies and scalings of their own. */
  features: Field[] | undefined
  /** Ids of each sparse field, where no features are said. */
  sizes: number[] | undefined
  /** Names of fields, where no features are said. */
  sides: { context: string[]; cross: string[] }
  /** Rows of a table may belong to no field. */
  allowUnused: boolean
}

export interface ChosenFields {
  features: Field[]
  /** Per sparse field. */
  ranges: IdRange[]
  /** Each field's ids begin at 0; else they follow each other in one table. */
  ownIds: boolean
  /** What was decided, for people. */
  notes: string[]
}

/** Most bytes of a table that repeats rows of the model's own. */
const largestRepeated = 256 * 1024 * 1024

/**
 * The fields of an imported model, and which rows of its tables each one's ids mean.
 *
 * Columns that share a table use ranges of it one after the other, where their sizes add up to it; where no sizes are said, or
 * each is the whole table, each may use all of it. Throws INVALID_REQUEST where the fields said are not as many, have more ids than
 * the model has rows, or leave rows unused and `allowUnused` isn't set: one field that is too small shifts all after it.
 */
export function chooseFields(model: ImportedModel, choice: FieldChoice): ChosenFields {
  const { features = plainFields(model, choice) } = choice
  const sparse = features.filter((field) => field.kind !== 'numeric')
  const dense = features.length - sparse.length
  expectCount('sparse', model.sparse.length, sparse.length)
  expectCount('numeric', model.dense.length, dense)
  const notes: string[] = []
  const known = choice.features !== undefined || choice.sizes !== undefined
  const ranges: IdRange[] = []
  for (const table of new Set(model.sparse.map(({ table }) => table))) {
    const columns = model.sparse.flatMap((column, i) => (column.table === table ? [i] : []))
    ranges.push(
      ...rangesOf(
        columns.map((i) => [model.sparse[i]!, sparse[i]!]),
        { known, allowUnused: choice.allowUnused },
        notes,
      ),
    )
  }
  const ownIds = ranges.length > 0 && ranges.every(({ first }) => first === 0)
  const bytes = ownIds ? 0 : ranges.reduce((sum, { ids }) => sum + ids, 0) * model.tableWidth * 4
  // Without ranges of their own the fields are rows of the model's tables, none of which is needed twice.
  if (bytes > largestRepeated && notes.some((note) => note.includes(everyRow)))
    throw new ModelError(
      'INVALID_REQUEST',
      `some fields share out a table and others use all of theirs, which would need a table of ${bytes} bytes: give all their own ranges`,
    )
  return { features, ranges, ownIds, notes }
}

const everyRow = 'each may use every row'

function rangesOf(
  fields: [SparseColumn, SparseField][],
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
        `${names} have ${total} ids, but share a table of ${rows} rows: sizes must add up to ${rows}, or each be ${rows} where every field uses every row; --allow-unused takes each field's ids from row 0 on (${listed(fields, sizes)})`,
      )
    notes.push(
      known
        ? `${names} have ${total} ids and share a table of ${rows} rows: ${everyRow}`
        : `${names} share a table of ${rows} rows, and it is not known who uses which: ${everyRow}; --sizes or --features say it`,
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
function listed(fields: [SparseColumn, SparseField][], sizes: number[]): string {
  const most = 40
  const shown = fields.slice(0, most).map(([, { name }], i) => `${name} ${sizes[i]}`)
  return [...shown, ...(fields.length > most ? [`… ${fields.length - most} more`] : [])].join(', ')
}

/** Ids and numbers as the model itself takes them. */
function plainFields({ sparse, dense }: ImportedModel, { sizes, sides }: FieldChoice): Field[] {
  if (sizes !== undefined) expectCount('sparse', sparse.length, sizes.length, '--sizes has')
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
  const meant = closestName(name, known)
  return `there is no field ${JSON.stringify(name)}, but ${known.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** `id` and `bid` are no names of fields, and no two are alike. */
function fieldNames(wanted: string[]): string[] {
  const taken = new Set(['id', 'bid'])
  return wanted.map((name) => {
    let free = name
    for (let n = 1; taken.has(free); n++) free = `${name}_${n}`
    taken.add(free)
    return free
  })
}

function expectCount(kind: string, wanted: number, said: number, who = 'the features have') {
  if (wanted !== said)
    throw new ModelError('INVALID_REQUEST', `${who} ${said} ${kind} fields, but the model takes ${wanted}`)
}

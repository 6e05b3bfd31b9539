import { ModelError } from '../../base/errors.ts'
import { hasFreeLength, type SavedTensor } from '../../model/contracts/saved-signature.ts'
import { createLayout } from '../../model/serving/features/layout.ts'
import { idsOf, inputFields, type OwnedField } from '../../model/serving/features/table.ts'
import { type Field, isDense } from '../../schemas/features.ts'
import type { FieldTensors, Manifest } from '../../schemas/manifest.ts'
import { columnsOf, fieldsOf, type InputRole, needFields, valuesOf, widthOf } from './input-roles.ts'

/** An input of a graph, and the fields that are its columns. */
export interface FittedInput {
  role: InputRole
  fields: Field[]
}

/**
 * Finds the inputs that fields are: by name where every field of ids, or of numbers, has that of an input, else in
 * order. Throws INVALID_REQUEST where they don't fit.
 */
export function fitFields(features: readonly Field[], roles: readonly InputRole[], ids: boolean): FittedInput[] {
  const fields = fieldsOf(features, ids)
  const values = valuesOf(roles, ids)
  const unnamed = ids ? [] : weightedWithout(features, roles)
  expectColumns(fields, values, ids, unnamed)
  const named = fields.flatMap((field) => {
    const role = values.find(({ input }) => input.name === field.name && isFilledBy(input, field))
    return role === undefined ? [] : [{ role, fields: [field] }]
  })
  if (named.length === fields.length && named.length === values.length) return named
  const place = (field: Field) => `/features/${features.indexOf(field)}`
  const fitted = inOrder(fields, values, place)
  for (const { role, fields } of fitted)
    for (const field of fields)
      if (field.name !== role.input.name && named.some((other) => other.role.input.name === field.name))
        throw new ModelError(
          'INVALID_REQUEST',
          `${place(field)}: ${field.name} stands in the place of the graph's input ${role.input.name}; give the fields the order of the inputs, or all their names: ${values.map(({ input }) => input.name).join(', ')}`,
        )
  return fitted
}

const isFilledBy = (input: SavedTensor, field: Field) => columnsOf(input, widthOf(field)) === widthOf(field)

/** Refuses fields with another number of columns in all; a list of any length takes what it is given. */
function expectColumns(fields: Field[], values: readonly InputRole[], ids: boolean, weighted: readonly string[]): void {
  if (values.some(({ input }) => hasFreeLength(input)) && fields.length >= values.length) return
  const given = fields.reduce((sum, field) => sum + widthOf(field), 0)
  const expected = values.reduce((sum, { input }) => sum + columnsOf(input), 0)
  if (given === expected && (fields.length > 0 || values.length === 0)) return
  const kind = ids ? 'sparse' : 'numeric'
  const plain = given === fields.length && values.every(({ is }) => is === 'columns')
  const counts = plain
    ? `the features have ${given} ${kind} fields, but the graph takes ${expected}`
    : `the features have ${given} ${kind} columns (${fields.map(shown).join(', ')}), but the graph takes ${expected}: ${values.map(({ input }) => `${input.name} ${hasFreeLength(input) ? 'any' : columnsOf(input)}`).join(', ')}`
  const hint = weighted.length === 0 ? '' : `; ${weightsHint(weighted[0]!)}`
  throw new ModelError('INVALID_REQUEST', counts + hint)
}

/** Weighted lists, where the graph has fewer inputs that are called weights. */
function weightedWithout(features: readonly Field[], roles: readonly InputRole[]): string[] {
  const weighted = features.flatMap((field) => ('list' in field && field.list?.weighted ? [field.name] : []))
  return weighted.slice(roles.filter(({ is }) => is === 'weights').length)
}

const weightsHint = (name: string) =>
  `the weights of ${name} must be an input whose name contains "weight", such as ${name}_weight, so that /graph/inputs/fields/${name}/weights is written: rename the input of the graph`

const shown = (field: Field) => `${field.name} ${widthOf(field)}`

function inOrder(fields: Field[], values: readonly InputRole[], place: (field: Field) => string): FittedInput[] {
  let next = 0
  const fitted = values.map((role): FittedInput => {
    const { input } = role
    const wanted = columnsOf(input, fields[next] === undefined ? 1 : widthOf(fields[next]!))
    const own: Field[] = []
    let columns = 0
    while (columns < wanted && next < fields.length) {
      const field = fields[next]!
      columns += widthOf(field)
      if (columns > wanted) {
        const several = own.length > 0 ? `, with ${own.map(({ name }) => name).join(', ')} before it,` : ''
        throw new ModelError(
          'INVALID_REQUEST',
          `${place(field)}: ${field.name} has ${widthOf(field)} columns${several} in the place of the graph's input ${input.name}, which has ${wanted}`,
        )
      }
      own.push(field)
      next++
    }
    return { role, fields: own }
  })
  const [left] = fields.slice(next)
  if (left === undefined) return fitted
  throw new ModelError(
    'INVALID_REQUEST',
    `${place(left)}: the graph has no input for ${left.name}: it has ${values.map(({ input }) => input.name).join(', ')}`,
  )
}

type GraphInputs = Manifest['graph']['inputs']

/**
 * The inputs of a manifest's graph, of these fields. `perField`: one tensor of ids has a table for each column. Throws
 * UNSUPPORTED_GRAPH where no manifest can name them.
 */
export function graphInputs(
  roles: readonly InputRole[],
  fitted: { ids: FittedInput[]; numbers: FittedInput[] },
  { file, perField }: { file: string; perField: boolean },
): GraphInputs {
  const own = Object.fromEntries([
    ...ownTensors(roles, fitted.ids, true, file),
    ...ownTensors(roles, fitted.numbers, false, file),
  ])
  const sparse = sharedTensors(roles, fitted.ids, true)
  const dense = sharedTensors(roles, fitted.numbers, false)
  if (sparse.length > 1 && sparse.some(({ fields }) => fields.length > 1)) throw severalWide(file, fitted.ids)
  const named = (inputs: FittedInput[]) => {
    const names = inputs.map(({ role }) => role.input.name)
    return names.length === 1 ? names[0]! : names
  }
  return {
    ...(sparse.length > 0 && { sparse: named(sparse) }),
    ...(perField && sparse.length === 1 && { ids: 'per_field' as const }),
    ...(dense.length > 0 && { dense: named(dense) }),
    ...(Object.keys(own).length > 0 && { fields: own }),
  }
}

function severalWide(file: string, inputs: FittedInput[]): ModelError {
  const { role, fields } = inputs.find(({ fields }) => fields.length > 1)!
  return new ModelError(
    'UNSUPPORTED_GRAPH',
    `${file} has ${inputs.length} inputs of ids, and the ${fields.length} columns of ${role.input.name} are fields of their own: a manifest supports one such input, or an input for each field; the graph can be served without a manifest`,
  )
}

/** Inputs of fields that the manifest need not name one by one. */
function sharedTensors(roles: readonly InputRole[], fitted: FittedInput[], ids: boolean): FittedInput[] {
  return needFields(roles, ids) ? fitted.filter(({ fields }) => fields.length !== 1) : fitted
}

/** The tensors of each field that has its own. */
function ownTensors(
  roles: readonly InputRole[],
  fitted: FittedInput[],
  ids: boolean,
  file: string,
): [string, FieldTensors][] {
  if (!needFields(roles, ids)) return []
  return fitted.flatMap(({ role, fields }) => {
    const attached = roles.filter(({ of }) => of === role.input)
    const [field] = fields
    if (fields.length !== 1 || (attached.length > 0 && !isList(field!))) {
      if (attached.length === 0) return []
      const [{ input, is }] = attached as [InputRole]
      throw new ModelError(
        'INVALID_REQUEST',
        `${file}: ${input.name} looks like the ${is} of ${role.input.name}, for which the features have no list: give one field of them list: {max: ${columnsOf(role.input)}}`,
      )
    }
    const tensors = Object.fromEntries(attached.map(({ is, input }) => [is, input.name]))
    return [[field!.name, { [ids ? 'ids' : 'values']: role.input.name, ...tensors }]]
  })
}

const isList = (field: Field) => 'list' in field && field.list !== undefined

const sizesWanted = 'give the sizes that the model was trained with, or use --allow-unused'

export interface SizeCheck {
  file: string
  left: string[]
  /** Accepts rows that belong to no field, and lists them in `left`. */
  allowUnused: boolean
}

/** With one table for all fields, sizes that do not add up to its rows would shift ids to other rows. */
export function expectSizes(features: readonly Field[], [input]: FittedInput[]): void {
  const fields = inputFields(features).flatMap((field) => (isDense(field) ? [] : [field as OwnedField]))
  const ids = fields.reduce((sum, field) => sum + (field.owner === undefined ? idsOf(field) : 0), 0)
  const [rows] = input!.role.input.ids
  if (rows === undefined || ids === rows) return
  throw new ModelError(
    'INVALID_REQUEST',
    `the features, ${fields[0]!.name} to ${fields.at(-1)!.name}, have ${ids} ids, but the table has ${rows} rows: ${sizesWanted}`,
  )
}

/** The same check where each field, or each column, has its own table; fields that share one must read the same. */
export function expectTables(features: Field[], fitted: FittedInput[], check: SizeCheck): void {
  const inputs = new Map(fitted.flatMap(({ role, fields }) => fields.map(({ name }) => [name, role.input] as const)))
  const tablesOf = (field: string) => inputs.get(field)?.use?.tables ?? []
  for (const [i, field] of features.entries()) {
    if (field.kind !== 'shared') continue
    const [own, theirs] = [tablesOf(field.name), tablesOf(field.table)]
    if (own.length === 0 || theirs.length === 0 || own.some((table) => theirs.includes(table))) continue
    throw new ModelError(
      'INVALID_REQUEST',
      `/features/${i}/table is ${JSON.stringify(field.table)}, but ${check.file} looks up ${field.name} in ${own.join(', ')}, and ${field.table} in ${theirs.join(', ')}`,
    )
  }
  const { sparse, slots } = createLayout(features, { ownIds: true })
  for (const { role, fields } of fitted) {
    let column = 0
    for (const field of fields) {
      const { ids } = sparse[slots.find(({ name }) => name === field.name)!.column]!
      const place = { at: `/features/${features.indexOf(field)}`, name: field.name }
      // The rows of a table that is known to be shared are those of its owner.
      if (field.kind !== 'shared' || tablesOf(field.name).length === 0)
        expectRows(ids, role.input.ids[Math.min(column, role.input.ids.length - 1)], place, check)
      column += widthOf(field)
    }
  }
}

function expectRows(
  ids: number,
  rows: number | undefined,
  { at, name }: { at: string; name: string },
  { file, left, allowUnused }: SizeCheck,
): void {
  if (rows === undefined || ids === rows) return
  const difference = `${at}: ${name} has ${ids} ids, but its table in ${file} has ${rows} rows`
  if (ids > rows) throw new ModelError('INVALID_REQUEST', difference)
  if (!allowUnused) throw new ModelError('INVALID_REQUEST', `${difference}: ${sizesWanted}`)
  left.push(`${difference}: is a value missing, or the id of unknown values (out_of_vocabulary)?`)
}

import { ModelError } from '../../base/errors.ts'
import { holdsIds, type SavedTensor, tensorWidth } from '../../model/contracts/saved-signature.ts'
import type { Field, Side } from '../../schemas/features.ts'
import { unknownField } from './fields.ts'
import { columnsOf, type InputRole, valuesOf } from './input-roles.ts'

/** Names of the fields that are not of the candidate. */
export interface ChosenSides {
  context: string[]
  cross: string[]
}

/** Ids of all fields together: as many as an int32 can tell apart. */
const mostIds = 2 ** 31 - 2

/**
 * Fields with the graph's own ids and unscaled numbers, in the order of its inputs, those of ids first. `longest`: the
 * values of lists of any length, by input.
 */
export function plainFields(
  roles: readonly InputRole[],
  sides: ChosenSides,
  longest: ReadonlyMap<string, number> = new Map(),
): Field[] {
  const values = [...valuesOf(roles, true), ...valuesOf(roles, false)]
  const names = namesOf(values)
  const nameOf = (input: SavedTensor) => names.get(input)![0]!
  const any = anyIds(values.map(({ input }) => input))
  const context: FieldContext = {
    nameOf,
    sizeOf: (rows) => rows ?? any,
    maxOf: (input) => columnsOf(input, longest.get(input.name)),
    sideOf(name, { sequence }) {
      const items = values.filter((role) => sequence !== undefined && role.sequence === sequence)
      return sideOf([name, ...items.map(({ input }) => nameOf(input))], sides)
    },
    isWeighted: (input) => roles.some(({ is, of }) => is === 'weights' && of === input),
  }
  const fields = values.flatMap((role) =>
    names.get(role.input)!.map((name, column) => fieldOf(role, { name, column }, context)),
  )
  const known = fields.map(({ name }) => name)
  for (const name of [...sides.context, ...sides.cross])
    if (!known.includes(name)) throw new ModelError('INVALID_REQUEST', unknownField(name, known))
  return fields
}

/** The names of the fields of each input. */
function namesOf(values: readonly InputRole[]): Map<SavedTensor, string[]> {
  const countOf = ({ is, input }: InputRole) => (is === 'columns' ? tensorWidth(input) : 1)
  // A field must not have the name of a tensor of several fields: requests may use either.
  const wide = values.filter((role) => countOf(role) > 1)
  const taken = new Set(['id', 'bid', ...wide.map(({ input }) => input.name)])
  const free = (wanted: string) => {
    let name = wanted
    for (let n = 1; taken.has(name); n++) name = `${wanted}_${n}`
    taken.add(name)
    return name
  }
  return new Map(
    values.map((role) => {
      const { name } = role.input
      const count = countOf(role)
      return [role.input, Array.from({ length: count }, (_, i) => free(count === 1 ? name : `${name}_${i}`))]
    }),
  )
}

interface FieldContext {
  nameOf(input: SavedTensor): string
  sizeOf(rows: number | undefined): number
  maxOf(list: SavedTensor): number
  sideOf(field: string, role: InputRole): Side
  isWeighted(list: SavedTensor): boolean
}

/** The field of an input, or of its column `column`. */
function fieldOf(
  role: InputRole,
  { name, column }: { name: string; column: number },
  { nameOf, sizeOf, maxOf, sideOf, isWeighted }: FieldContext,
): Field {
  const { input, is, ids, owner, sequence } = role
  const common = { name, side: sideOf(name, role), missing: 'error' as const }
  if (is === 'vector') return { ...common, kind: 'vector', length: tensorWidth(input) }
  const several = is === 'list' && {
    missing: { default: [] },
    list: {
      max: maxOf(input),
      ...(isWeighted(input) && { weighted: true }),
      ...(ids && { padding: input.use?.padding ?? 0 }),
    },
    ...(sequence !== undefined && { sequence: nameOf(sequence) }),
  }
  if (!ids) return { ...common, kind: 'numeric', scaling: { method: 'none' }, ...several }
  // An unknown value of a list is left out; of a single one, it is refused.
  const policy = { out_of_vocabulary: is === 'list' ? ('drop' as const) : ('error' as const) }
  if (owner !== undefined) return { ...common, kind: 'shared', table: nameOf(owner), ...policy, ...several }
  return { ...common, kind: 'integer', size: sizeOf(input.ids[column]), ...policy, ...several }
}

/** Rows of the table of each column of ids; undefined for no table. */
export function tablesOf(inputs: readonly SavedTensor[]): (number | undefined)[] {
  return inputs.flatMap((input) => Array.from({ length: input.ids.length }, (_, column) => input.ids[column]))
}

/** The size of a field without a table: what the others leave, in equal parts. */
function anyIds(inputs: readonly SavedTensor[]): number {
  const sizes = tablesOf(inputs.filter(holdsIds))
  const known = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  return Math.floor((mostIds - known) / sizes.filter((size) => size === undefined).length)
}

function sideOf(names: readonly string[], { context, cross }: ChosenSides): Side {
  if (names.some((name) => context.includes(name))) return 'context'
  return names.some((name) => cross.includes(name)) ? 'cross' : 'candidate'
}

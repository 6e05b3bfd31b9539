import { hasFreeLength, type SavedTensor, tensorWidth } from '../../model/contracts/saved-signature.ts'
import { count } from '../../schemas/check.ts'
import type { Field } from '../../schemas/features.ts'
import { columnsOf, type InputRole, needFields, valuesOf, widthOf } from './input-roles.ts'
import { tablesOf } from './plain-fields.ts'

/** Describes plain fields; returns the sizes that the graph does not contain, in words. */
export function describeFields(
  features: readonly Field[],
  roles: readonly InputRole[],
  found: string[],
  left: string[],
): string | undefined {
  const sparse = valuesOf(roles, true).map(({ input }) => input)
  const ids = features.filter(({ kind }) => kind === 'integer' || kind === 'shared')
  const numbers = features.filter(({ kind }) => kind === 'numeric').length
  if (ids.length > 0) found.push(`${count(ids.length, 'sparse field')}, with the ids that the graph takes`)
  if (numbers > 0) found.push(`${count(numbers, 'numeric field')}, unscaled`)
  const fieldOf = ({ name }: SavedTensor) => features.find((field) => field.name === name)
  found.push(...roles.flatMap((role) => describeRole(role, roles, fieldOf(role.input))))
  left.push("/features/*/name: the names that requests use; keep the order of the graph's columns")
  left.push('/features/*/side: context (user, page) or candidate (ad); context features are computed once per request')
  if (ids.length > 0)
    left.push(
      '/features/*/kind: vocabulary with its values, or hash with its buckets, if requests send strings instead of ids',
    )
  const [only] = sparse
  if (sparse.length === 1 && !needFields(roles, true) && tensorWidth(only!) > 1 && only!.shared)
    left.push(
      `/graph/inputs/ids: all columns share one table of ${only!.ids[0]} rows; remove this property if each field has its own range of rows, with sizes that add up to the table`,
    )
  left.push(...questions(features, roles))
  const tables = tablesOf(sparse)
  const unknown = ids.filter((field, i) => field.kind === 'integer' && tables[i] === undefined)
  const unsized =
    unknown.length === 0
      ? undefined
      : `the number of ids of ${unknown.map(({ name }) => name).join(', ')}, which the graph does not contain`
  if (unsized !== undefined) left.push(`/features/*/size: ${unsized}`)
  if (numbers > 0) left.push('/features/*/scaling: the scaling used in training (standard, min_max, log1p)')
  return unsized
}

/** Says what an input that is no plain field was taken for. */
function describeRole(
  { input, is, of, owner, sequence }: InputRole,
  roles: readonly InputRole[],
  field: Field | undefined,
): string[] {
  const { name } = input
  if (of !== undefined) {
    const derived = is === 'weights' ? 'which requests give with its values' : 'which follow from its values'
    return [`${name}: the ${is} of ${of.name}, ${is === 'mask' ? derived.replace('follow', 'follows') : derived}`]
  }
  if (is === 'vector') return [`${name}: a vector of ${tensorWidth(input)} numbers`]
  const table = owner === undefined ? '' : `reads the table of ${owner.name}`
  if (is !== 'list') return table === '' ? [] : [`${name} ${table}`]
  const others = roles.filter((role) => sequence !== undefined && role.sequence === sequence && role.input !== input)
  const parts = [
    `lists of at most ${field === undefined ? columnsOf(input) : widthOf(field)} values`,
    ...(others.length === 0 ? [] : [`of the same items as ${listed(others)}`]),
    ...(table === '' ? [] : [table]),
  ]
  return [`${name}: ${parts.join('; ')}`]
}

const listed = (roles: readonly InputRole[]) => roles.map(({ input }) => input.name).join(', ')

/** Open questions about lists. */
function questions(features: readonly Field[], roles: readonly InputRole[]): string[] {
  const lists = roles.filter(({ is }) => is === 'list')
  if (lists.length === 0) return []
  const place = ({ input }: InputRole) => `/features/${features.findIndex(({ name }) => name === input.name)}`
  const lines: string[] = []
  for (const role of lists.filter(({ input }) => hasFreeLength(input)))
    lines.push(
      `${place(role)}/list/max: ${role.input.name} may be of any length; lists are filled up to this one, which costs time`,
    )
  const unpadded = lists.filter(({ ids, input }) => ids && input.use?.padding === undefined)
  if (unpadded.length > 0)
    lines.push(
      `/features/*/list/padding: the graph does not show which id stands for no value in ${listed(unpadded)}; taken is 0`,
    )
  if (lists.some(({ input }) => !hasFreeLength(input)))
    lines.push('/features/*/list/keep: first or last, the values of a longer list that are kept')
  lines.push(...guesses(roles), ...equallyLong(lists))
  return lines
}

function guesses(roles: readonly InputRole[]): string[] {
  return roles.flatMap(({ input, is, of, guessed }) =>
    guessed ? [`/graph/inputs/fields: whether ${input.name} is the ${is} of ${of!.name}`] : [],
  )
}

/** Lists of one length that the graph does not combine: only people know whether they describe the same items. */
function equallyLong(lists: readonly InputRole[]): string[] {
  const lengths = new Map<number, SavedTensor[]>()
  for (const { input, sequence } of lists)
    if (sequence === undefined) lengths.set(input.dims[0]!, [...(lengths.get(input.dims[0]!) ?? []), input])
  return [...lengths.values()].flatMap((inputs) =>
    inputs.length < 2
      ? []
      : [
          `/features/*/sequence: one name for ${inputs.map(({ name }) => name).join(', ')}, if they describe the same items`,
        ],
  )
}

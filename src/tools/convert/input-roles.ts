import { valueFor } from '../../base/maps.ts'
import { hasFreeLength, holdsIds, type SavedTensor, tensorWidth } from '../../model/contracts/saved-signature.ts'
import { triedLength } from '../../model/graph/ir/free-lengths.ts'
import type { InputField } from '../../model/serving/features/table.ts'
import { type Field, isDense } from '../../schemas/features.ts'

/** An input of a graph, and its part in the fields of requests. */
export interface InputRole {
  input: SavedTensor
  /** `columns`: a field for each. */
  is: 'columns' | 'list' | 'vector' | Attached
  /** Whether its values are ids. */
  ids: boolean
  /** The first list of the sequence that a list belongs to, if any. */
  sequence?: SavedTensor
  /** The input whose table it reads too. */
  owner?: SavedTensor
  /** The list that a mask, lengths or weights belong to. */
  of?: SavedTensor
  /** Whether nothing but its name or its size says so. */
  guessed?: boolean
}

/** Tensors that belong to a list. */
type Attached = 'mask' | 'lengths' | 'weights'

/** The inputs that are values of fields, in the order of the graph. */
export function valuesOf(roles: readonly InputRole[], ids: boolean): InputRole[] {
  return roles.filter((role) => role.of === undefined && role.ids === ids)
}

/** Whether the inputs of ids, or those of numbers, are tensors of fields, which the manifest has to name one by one. */
export function needFields(roles: readonly InputRole[], ids: boolean): boolean {
  return roles.some((role) => role.is !== 'columns' && (role.is === 'weights' ? !ids : role.ids === ids))
}

/** The role of each input, as far as the graph shows; `features`: fields that a person gave, whose names are theirs. */
export function rolesOf(inputs: readonly SavedTensor[], features: readonly Field[] = []): InputRole[] {
  const known = new Map(features.map((field) => [field.name, field]))
  const roles = new Map<SavedTensor, InputRole>()
  const set = (input: SavedTensor, role: Partial<InputRole> & Pick<InputRole, 'is'>) =>
    roles.set(input, { input, ids: holdsIds(input), ...role })
  const lists = listsOfIds(inputs)
  for (const input of lists) set(input, { is: 'list' })
  for (const input of inputs) {
    if (lists.includes(input) || isLookedUp(input) || known.has(input.name)) continue
    const what = attachmentOf(input, lists)
    if (what === undefined) continue
    const others = lists.filter((list) => ![...roles.values()].some(({ is, of }) => is === what && of === list))
    const { list, guessed } = listOf(
      input,
      others.filter((list) => what === 'lengths' || isEquallyLong(input, list)),
    )
    if (list !== undefined) set(input, { is: what, of: list, guessed })
  }
  for (const input of inputs) {
    if (roles.has(input) || holdsIds(input)) continue
    const isList = isWide(input) && lists.some((list) => isEquallyLong(input, list) && areMet(input, list))
    if (isList || hasFreeLength(input)) set(input, { is: 'list' })
    else if (isVector(input, inputs, known)) set(input, { is: 'vector' })
  }
  for (const input of inputs) if (!roles.has(input)) set(input, { is: 'columns' })
  const ordered = inputs.map((input) => roles.get(input)!)
  findSequences(ordered)
  findOwners(ordered)
  return ordered
}

/** Columns of an input; of a list of any length, `free`. */
export function columnsOf(input: SavedTensor, free = triedLength): number {
  return hasFreeLength(input) ? free : tensorWidth(input)
}

const isPadded = ({ use }: SavedTensor) =>
  use !== undefined && !use.apart && (use.padding !== undefined || use.meets.length > 0)

const isWide = (input: SavedTensor) => hasFreeLength(input) || (input.dims.length === 1 && input.dims[0]! > 1)

const isLookedUp = ({ ids }: SavedTensor) => ids.some((rows) => rows !== undefined)

const isEquallyLong = (one: SavedTensor, other: SavedTensor) => isWide(one) && one.dims[0] === other.dims[0]

const areMet = (one: SavedTensor, other: SavedTensor) =>
  one.use?.meets.includes(other.name) === true || other.use?.meets.includes(one.name) === true

/**
 * Inputs of several ids of one table. Where there is no other input of ids, its columns are fields of their own, unless
 * an id of padding or a mask shows a list.
 */
function listsOfIds(inputs: readonly SavedTensor[]): SavedTensor[] {
  const ids = inputs.filter((input) => holdsIds(input) && isLookedUp(input))
  return ids.filter((input) => {
    if (!isWide(input) || !input.shared || new Set(input.ids).size > 1) return false
    return ids.length > 1 || hasFreeLength(input) || isPadded(input)
  })
}

/** The part that an input that is not looked up may have in one of the lists. */
function attachmentOf(input: SavedTensor, lists: readonly SavedTensor[]): Attached | undefined {
  const { name, dtype } = input
  if (isWide(input)) {
    if (!lists.some((list) => isEquallyLong(input, list))) return undefined
    if (dtype === 'bool' || /mask/i.test(name)) return 'mask'
    return dtype === 'float32' && /weight/i.test(name) ? 'weights' : undefined
  }
  return /len/i.test(name) && tensorWidth(input) === 1 ? 'lengths' : undefined
}

/** The list that an input belongs to: that which it meets in the graph, or has a part of its name, or the first. */
function listOf(
  input: SavedTensor,
  lists: readonly SavedTensor[],
): { list: SavedTensor | undefined; guessed: boolean } {
  const met = lists.filter((list) => areMet(input, list))
  const among = met.length > 0 ? met : lists
  const named = among
    .filter(({ name }) => input.name.toLowerCase().includes(name.toLowerCase()))
    .sort((a, b) => b.name.length - a.name.length)[0]
  const longest = among.toSorted((a, b) => columnsOf(b) - columnsOf(a))[0]
  return { list: named ?? longest, guessed: met.length === 0 && named === undefined && lists.length > 1 }
}

/** Names of inputs that are one vector, even beside no other input of numbers. */
const vectorNames = /emb|vec|image|img/i

/** Whether the numbers of an input belong together. */
function isVector(input: SavedTensor, inputs: readonly SavedTensor[], known: ReadonlyMap<string, Field>): boolean {
  if (!isWide(input) || input.use?.apart !== false) return false
  if (known.get(input.name)?.kind === 'vector') return true
  return vectorNames.test(input.name) || inputs.filter((other) => !holdsIds(other)).length > 1
}

/** Lists that meet, directly or at a mask, are a sequence. */
function findSequences(roles: readonly InputRole[]): void {
  const lists = roles.filter(({ is }) => is === 'list')
  const groups = new Map(lists.map((role) => [role.input, new Set([role.input])]))
  const join = (one: SavedTensor, other: SavedTensor) => {
    const [a, b] = [groups.get(one)!, groups.get(other)!]
    if (a === b || !isEquallyLong(one, other)) return
    for (const input of b) {
      a.add(input)
      groups.set(input, a)
    }
  }
  for (const { input } of roles) {
    const met = lists.filter((list) => list.input !== input && areMet(input, list.input))
    const all = groups.has(input) ? [input, ...met.map((list) => list.input)] : met.map((list) => list.input)
    for (const other of all.slice(1)) join(all[0]!, other)
  }
  for (const role of lists) {
    const group = groups.get(role.input)!
    if (group.size > 1) role.sequence = lists.find(({ input }) => group.has(input))!.input
  }
}

/** Among inputs that read one table, one of a single id owns it, or else the first. */
function findOwners(roles: readonly InputRole[]): void {
  const readers = roles.filter(({ input, is, ids }) => {
    const isOne = is === 'list' || (is === 'columns' && tensorWidth(input) === 1)
    return ids && isOne && (input.use?.tables.length ?? 0) > 0
  })
  const owned = new Map<string, SavedTensor>()
  for (const role of [...readers.filter(({ is }) => is !== 'list'), ...readers.filter(({ is }) => is === 'list')]) {
    const { input } = role
    const tables = input.use!.tables
    const owner = tables.flatMap((table) => owned.get(table) ?? []).find(({ ids }) => ids[0] === input.ids[0])
    if (owner !== undefined) role.owner = owner
    else for (const table of tables) if (!owned.has(table)) owned.set(table, input)
  }
}

/** The names of lists of any length, those of a sequence together. */
export function listsOfAnyLength(roles: readonly InputRole[]): string[][] {
  const groups = new Map<SavedTensor, string[]>()
  for (const { is, input, sequence = input } of roles)
    if (is === 'list' && hasFreeLength(input)) valueFor(groups, sequence, () => [] as string[]).push(input.name)
  return [...groups.values()]
}

/** Columns that a field takes. */
export function widthOf(field: Field | InputField): number {
  return field.kind === 'vector' ? field.length : (field.list?.max ?? 1)
}

/** The fields of ids, or those of numbers. */
export function fieldsOf(features: readonly Field[], ids: boolean): Field[] {
  return features.filter((field) => isDense(field) !== ids)
}

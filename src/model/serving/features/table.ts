import { repeatedIndexes } from '../../../base/arrays.ts'
import { didYouMean } from '../../../schemas/closest-name.ts'
import type { Field, NumericField, SharedField, SparseField, VectorField } from '../../../schemas/features.ts'

/** A field for its encoder: one that shares a table has the kind and the values of the table's owner. */
export type InputField = OwnedField | NumericField | VectorField

/** A field of ids; `owner`: the field whose table it reads, if that isn't its own. */
export type OwnedField = SparseField & { owner?: SparseField }

/** The rows of a field's table, in this order; numbers count from its first row. */
export interface TableRows {
  ids: number
  /** The row for places of a list that have no value, if the table has one for them. */
  padding: number | undefined
  /** The row of unknown values, if the table has one. */
  bucket: number | undefined
  /** The row of the first known value. */
  first: number
}

/** The rows of the table that a field reads. */
export function tableOf(field: OwnedField): TableRows {
  const owner = field.owner ?? field
  const padded = owner.list === undefined ? isPadded(owner) : owner.list.padding === undefined
  const bucketed = owner.kind !== 'hash' && owner.out_of_vocabulary === 'bucket'
  const padding = padded ? 0 : undefined
  const bucket = bucketed ? Number(padded) : undefined
  const first = Number(padded) + Number(bucketed)
  return { padding, bucket, first, ids: first + known(owner) }
}

/** Whether the table of a field that is no list has a row for padding: others have the id 0 for unknown values. */
function isPadded(owner: SparseField): boolean {
  return owner.kind === 'hash' && owner.padded === true
}

function known(owner: SparseField): number {
  if (owner.kind === 'hash') return owner.buckets
  return owner.kind === 'vocabulary' ? owner.values.length : owner.size
}

/** Number of ids that a field's table has: those of its values, of unknown ones and of padding. */
export function idsOf(field: OwnedField): number {
  return tableOf(field).ids
}

/** The row of places without a value in a list, counted from the table's first. */
export function paddingOf(field: OwnedField): number {
  return field.list?.padding ?? tableOf(field).padding ?? (field.owner?.list?.padding || 0)
}

/** The fields for their encoders. Their tables must have passed `tableProblems`. */
export function inputFields(features: readonly Field[]): InputField[] {
  return features.map((field) => inputField(field, features))
}

/** One of these fields for its encoder. */
export function inputField(field: Field, features: readonly Field[]): InputField {
  if (field.kind !== 'shared') return field
  const owner = ownerOf(field, features)!
  const { table: _, kind: __, ...own } = field
  const { list: ___, sequence: ____, live: _____, log: ______, ...values } = owner
  const policy = field.out_of_vocabulary ?? (owner.kind === 'hash' ? undefined : owner.out_of_vocabulary)
  return { ...values, ...own, ...(owner.kind !== 'hash' && { out_of_vocabulary: policy }), owner } as OwnedField
}

function ownerOf({ table }: SharedField, features: readonly Field[]): SparseField | undefined {
  const owner = features.find(({ name }) => name === table)
  return owner === undefined || owner.kind === 'numeric' || owner.kind === 'vector' || owner.kind === 'shared'
    ? undefined
    : owner
}

/** Contradictions among the tables and lists of fields; paths are below the list of fields. */
export function tableProblems(features: readonly Field[]): string[] {
  const problems = features.flatMap((field, i) =>
    field.kind === 'shared' ? ownerProblems(field, features).map((problem) => `/${i}${problem}`) : [],
  )
  if (problems.length > 0 || repeatedIndexes(features.map(({ name }) => name)).length > 0) return problems
  const fields = inputFields(features)
  return fields.flatMap((field, i) =>
    [...listProblems(field), ...sequenceProblems(field, fields)].map((p) => `/${i}${p}`),
  )
}

function ownerProblems(field: SharedField, features: readonly Field[]): string[] {
  const owner = ownerOf(field, features)
  const table = JSON.stringify(field.table)
  if (owner === undefined) {
    const named = features.find(({ name }) => name === field.table)
    const owners = features.flatMap(({ name, kind }) =>
      kind === 'vocabulary' || kind === 'hash' || kind === 'integer' ? [name] : [],
    )
    return [
      named === undefined
        ? `/table ${table} is not a field${didYouMean(field.table, owners)}`
        : `/table ${table} is a ${named.kind} field, which has no table of its own: name the field that owns it`,
    ]
  }
  const { bucket, padding } = tableOf(owner)
  if (field.out_of_vocabulary === 'bucket' && bucket === undefined)
    return [`/out_of_vocabulary is bucket, but the table of ${table} has no row for unknown values`]
  if (field.out_of_vocabulary !== undefined && owner.kind === 'hash')
    return [`/out_of_vocabulary has no meaning: ${table} hashes its values, so that none is unknown`]
  if (field.list !== undefined && owner.kind === 'hash' && padding === undefined && owner.list === undefined)
    return [
      `/table ${table} has no row for padding, as it hashes its values: give ${table} padded: true, or let ${JSON.stringify(field.name)} own the table, and ${table} share it`,
    ]
  return []
}

function listProblems(field: InputField): string[] {
  if (field.kind === 'vector') {
    const given = field.missing === 'error' ? field.length : field.missing.default.length
    return given === field.length ? [] : [`/missing/default has ${given} numbers, not ${field.length}`]
  }
  const problems: string[] = []
  const { list, missing } = field
  const isList = list !== undefined
  if (missing !== 'error' && Array.isArray(missing.default) !== isList)
    problems.push(`/missing/default must ${isList ? 'be an array: the field is a list' : 'not be an array'}`)
  if (field.sequence !== undefined && !isList) problems.push('/sequence belongs to lists: add list, or leave it out')
  if (field.kind === 'numeric') {
    if (list?.padding !== undefined) problems.push('/list/padding is an id, which numbers have none of')
    return problems
  }
  if (field.kind !== 'hash' && field.out_of_vocabulary === 'drop' && !isList)
    problems.push('/out_of_vocabulary is drop, which belongs to lists: a single value is bucket or error')
  if (!isList) return problems
  if (field.kind === 'hash' && field.owner === undefined && field.padded)
    problems.push('/padded has no meaning: a list has a row for padding already')
  const { ids, bucket } = tableOf(field)
  const padding = paddingOf(field)
  if (padding >= ids) problems.push(`/list/padding is ${padding}, but the table has the ids 0 to ${ids - 1}`)
  if (field.kind !== 'hash' && field.out_of_vocabulary === 'bucket' && padding === bucket)
    problems.push(
      `/out_of_vocabulary is bucket, whose id, ${bucket}, is that of padding: choose drop or error, or another list/padding`,
    )
  return problems
}

/** Members of a sequence stand on one side, and are cut alike. */
function sequenceProblems(field: InputField, fields: readonly InputField[]): string[] {
  if (field.kind === 'vector' || field.sequence === undefined || field.list === undefined) return []
  const { sequence, list } = field
  const [first] = fields.flatMap((other) =>
    other.kind !== 'vector' && other.sequence === sequence && other.list !== undefined ? [other] : [],
  )
  const from = `${JSON.stringify(first!.name)}, of the same sequence`
  if (first!.side !== field.side) return [`/side is ${field.side}, but ${from}, has ${first!.side}`]
  const [keep, firstKeep] = [list.keep ?? 'first', first!.list!.keep ?? 'first']
  if (list.max !== first!.list!.max) return [`/list/max is ${list.max}, but ${from}, has ${first!.list!.max}`]
  return keep === firstKeep ? [] : [`/list/keep is ${keep}, but ${from}, has ${firstKeep}`]
}

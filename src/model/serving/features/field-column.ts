import { boundsOf, type FieldEncoder } from './field.ts'

/** The columns of `sparse` or `dense` that hold a field. */
export interface FieldColumn {
  name: string
  sparse: boolean
  /** The first of its columns, and their number: that of a list's values. */
  column: number
  width: number
  encoder: FieldEncoder
  /** Whether its side is the context. */
  ofContext: boolean
  /** The encoder of a list or a vector, and of the other lists of its sequence. */
  group: ColumnGroup | undefined
  /** The code of a place without a value. */
  padding: number
  /** The first dense column of a list's weights. */
  weights: number | undefined
}

/** Receives what becomes of a list's values; `row`: of the request, undefined for the context. */
export interface ListNotes {
  unknown(row: number | undefined, field: string, position: number): void
  cut(row: number | undefined, field: string): void
}

/** int32 [rows, sparse columns] and float32 [rows, dense columns], to be overwritten. */
export interface RowArrays {
  sparse: Int32Array
  dense: Float32Array
}

/**
 * The lists of a sequence, or one list or vector. A list of at most n values is n columns: the codes of its values,
 * then padding. Values that are left out are left out of all lists of the sequence.
 */
export class ColumnGroup {
  readonly members: readonly FieldColumn[]
  /** Columns of each member. */
  readonly max: number
  readonly keepsLast: boolean
  /** Whether each member has exactly `max` values. */
  readonly exact: boolean
  readonly onCut: ((field: string, values: number) => unknown) | undefined
  /** The test for unknown codes of each member. */
  readonly unknownTests: readonly ReturnType<typeof unknownTest>[]
  /** Its place among the groups of the model. */
  readonly index: number

  constructor(index: number, members: readonly FieldColumn[], onCut?: (field: string, values: number) => unknown) {
    const { width, encoder } = members[0]!
    const { field } = encoder
    this.index = index
    this.members = members
    this.unknownTests = members.map((member) => unknownTest(member.encoder))
    this.max = width
    this.exact = field.kind === 'vector'
    this.keepsLast = field.kind !== 'vector' && field.list?.keep === 'last'
    this.onCut = onCut
  }
}

/** Whether an encoded value is unknown; undefined where none of the field is. */
export function unknownTest(encoder: FieldEncoder): ((code: number) => boolean) | undefined {
  const { field } = encoder
  if (field.kind === 'numeric') {
    const bounds = boundsOf(field)
    return bounds && ((code) => code <= bounds.low || code >= bounds.high)
  }
  const bucket = 'bucket' in encoder ? encoder.bucket : undefined
  return bucket === undefined ? undefined : (code) => code === bucket
}

/** Groups lists by sequence; every other list, and every vector, is a group by itself. Sets the group of each. */
export function groupColumns(slots: readonly FieldColumn[], onCut?: (field: string, values: number) => unknown) {
  const sequences = new Map<string, FieldColumn[]>()
  const groups: FieldColumn[][] = []
  for (const slot of slots) {
    const { field } = slot.encoder
    if (field.kind !== 'vector' && field.list === undefined) continue
    const name = field.kind === 'vector' ? undefined : field.sequence
    const members = (name === undefined ? undefined : sequences.get(name)) ?? []
    if (members.length === 0) groups.push(members)
    if (name !== undefined) sequences.set(name, members)
    members.push(slot)
  }
  return groups.map((members, index) => {
    const group = new ColumnGroup(index, members, onCut)
    for (const slot of members) slot.group = group
    return group
  })
}

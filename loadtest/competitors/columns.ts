import type { Features, Side } from '../../src/schemas/features.ts'

/** The columns of a model's two tensors: those of the context first, then the candidate's. */
export interface ModelColumns {
  /**
   * Each column is a field with `ids` ids of its own, except the last `history` of the context: they are a list of
   * items, which shares the ids of the first candidate field. The first of these is padding.
   */
  sparse: { fields: number; context: number; ids: number; history?: number }
  dense: { fields: number; context: number }
}

/** Columns of ids that are one field. */
export interface IdField {
  name: string
  side: Side
  /** The first column. */
  column: number
  /** The number of columns of a list. */
  list?: number
  /** The id of the value 0 in the id space of all fields. */
  firstId: number
}

/** In the order of their columns; named `c0`, `c1`, …, and `history`. */
export function idFields({ sparse: { fields, context, ids, history = 0 } }: ModelColumns): IdField[] {
  const ownOfContext = context - history
  const own = Array.from(
    { length: fields - history },
    (_, i): IdField => ({
      name: `c${i}`,
      side: i < ownOfContext ? 'context' : 'candidate',
      column: i < ownOfContext ? i : i + history,
      firstId: i * ids,
    }),
  )
  if (history === 0) return own
  const item = own[ownOfContext]!
  const list: IdField = { ...item, name: 'history', side: 'context', column: ownOfContext, list: history }
  return own.toSpliced(ownOfContext, 0, list)
}

/** The fields of `idFields`, and `x0`, `x1`, …: numbers. */
export function featuresOf(model: ModelColumns): Features {
  const { sparse, dense } = model
  const fields = idFields(model)
  const item = fields.find(({ side }) => side === 'candidate')
  return [
    ...fields.map(({ name, side, list }) =>
      list === undefined ? integerField(name, sparse.ids, side) : historyField(name, side, item!.name, list),
    ),
    ...Array.from({ length: dense.fields }, (_, i) =>
      numberField(`x${i}`, i < dense.context ? 'context' : 'candidate'),
    ),
  ]
}

export const integerField = (name: string, size: number, side: Side) =>
  ({ name, side, kind: 'integer', size, out_of_vocabulary: 'error', missing: 'error' }) as const

export const numberField = (name: string, side: Side) =>
  ({ name, side, kind: 'numeric', scaling: { method: 'none' }, missing: 'error' }) as const

const historyField = (name: string, side: Side, table: string, max: number) =>
  ({ name, side, kind: 'shared', table, out_of_vocabulary: 'error', missing: 'error', list: { max } }) as const

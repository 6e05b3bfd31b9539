/*
 * Parts of records, as far as their columns in a Parquet file depend on them: objects whose properties are columns, and
 * values. All else that a client may have sent becomes text.
 */

export interface Role {
  /** Properties of an object with roles of their own. */
  columns?: Readonly<Record<string, Role>>
  /** Role of its other properties; undefined: with one of these, it is no object of this kind. */
  others?: Role
  /** Role of the items of a list. */
  items?: Role
  /** A number that is a whole one, or a text that is a time. */
  as?: 'integer' | 'time'
  /** The column of an object that never had a property. */
  least?: string
}

const scalar: Role = {}
const list: Role = { items: scalar }
/** A value, a list of them, or a list with weights. */
const value: Role = { items: scalar, columns: { values: list, weights: list } }
const values: Role = { others: value }

const candidate: Role = {
  columns: { position: { as: 'integer' }, rank: { as: 'integer' }, fields: values, raw: values, served: values },
  others: value,
  least: 'position',
}

/** A record: see `schemas/prediction-log.ts`. */
export const recordRole: Role = {
  columns: {
    schema: { as: 'integer' },
    time: { as: 'time' },
    ms: values,
    context: values,
    candidates: { items: candidate },
  },
  others: value,
}

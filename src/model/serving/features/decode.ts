import type { HashField, NumericField } from '../../../schemas/features.ts'
import { type OwnedField, tableOf } from './table.ts'

/** The value of a field's id, from 0; for the out-of-vocabulary bucket and for padding, an unknown value. */
export function nameOfId(field: Exclude<OwnedField, HashField>, id: number): string | number {
  const index = id - tableOf(field).first
  if (field.kind === 'integer') return index < 0 ? field.size : index
  if (index >= 0) return field.values[index]!
  const known = new Set(field.values)
  let unknown = 'unknown'
  while (known.has(unknown)) unknown += '?'
  return unknown
}

/** The inverse of scaling. */
export function unscale({ scaling }: NumericField, scaled: number): number {
  switch (scaling.method) {
    case 'none':
      return scaled
    case 'standard':
      return scaled * scaling.deviation + scaling.mean
    case 'min_max':
      return scaled * (scaling.max - scaling.min) + scaling.min
    case 'log1p':
      return Math.expm1(scaled * scaling.scale)
  }
}

import type { Field, HashField, NumericField, SparseField } from '../../schemas/features.ts'
import { standardNormal } from '../base/random.ts'
import { idsOf } from './field.ts'

/** A random row of valid values for these fields. `random` is uniform over [0, 1). */
export function drawRow(fields: readonly Field[], random: () => number): Record<string, string | number> {
  return Object.fromEntries(fields.map((field) => [field.name, drawValue(field, random)]))
}

/** A random valid value of a field. `random` is uniform over [0, 1). */
export function drawValue(field: Field, random: () => number): string | number {
  if (field.kind === 'numeric') return unscale(field, Math.fround(standardNormal(random)))
  if (field.kind === 'hash') return `value ${Math.floor(random() * 1e9)}`
  return nameOfId(field, Math.floor(random() * idsOf(field)))
}

/** The value of a field's id, from 0; for the out-of-vocabulary bucket, an unknown value. */
export function nameOfId(field: Exclude<SparseField, HashField>, id: number): string | number {
  const bucket = field.out_of_vocabulary === 'bucket'
  if (field.kind === 'integer') return bucket ? (id === 0 ? field.size : id - 1) : id
  if (!bucket) return field.values[id]!
  if (id > 0) return field.values[id - 1]!
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

import { standardNormal } from '../../../base/hash.ts'
import type { FeatureValue } from '../../../schemas/feature-value.ts'
import type { Field, NumericField } from '../../../schemas/features.ts'
import { nameOfId, unscale } from './decode.ts'
import { type InputField, idsOf, inputFields, paddingOf, tableOf } from './table.ts'

/**
 * A random row of valid values for a model's fields, or those of them that are `wanted`. Lists of a sequence have equal
 * lengths. `random` is uniform over [0, 1).
 */
export function drawRow(
  features: readonly Field[],
  random: () => number,
  wanted: (field: InputField) => boolean = () => true,
): Record<string, FeatureValue> {
  const lengths = new Map<string, number>()
  return Object.fromEntries(
    inputFields(features)
      .filter(wanted)
      .map((field) => {
        if (field.kind === 'vector') return [field.name, Array.from({ length: field.length }, () => normal(random))]
        if (field.list === undefined) return [field.name, drawValue(field, random)]
        const drawn = Math.floor(random() * (field.list.max + 1))
        const length = field.sequence === undefined ? drawn : (lengths.get(field.sequence) ?? drawn)
        if (field.sequence !== undefined) lengths.set(field.sequence, length)
        return [field.name, Array.from({ length }, () => drawValue(field, random))]
      }),
  )
}

/** A random valid value of a field, or of a list of it. `random` is uniform over [0, 1). */
export function drawValue(field: Exclude<InputField, { kind: 'vector' }>, random: () => number): string | number {
  if (field.kind === 'numeric') return drawNumber(field, random)
  if (field.kind === 'hash') return `value ${Math.floor(random() * 1e9)}`
  // Padding is no value, and unknown values of a list may be refused.
  const first = field.list === undefined && field.owner === undefined ? 0 : tableOf(field).first
  const id = first + Math.floor(random() * (idsOf(field) - first))
  return nameOfId(field, id === paddingOf(field) && field.list !== undefined ? idsOf(field) - 1 : id)
}

/** A logarithm takes numbers above −1 alone, which those drawn for a wide scale are rounded to. */
function drawNumber(field: NumericField, random: () => number): number {
  const value = unscale(field, normal(random))
  return field.scaling.method === 'log1p' ? Math.max(value, leastOfLogarithm) : value
}

/** As float32, too. */
const leastOfLogarithm = -1 + 2 ** -23

const normal = (random: () => number) => Math.fround(standardNormal(random))

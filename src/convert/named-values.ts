import type { ModelError } from '../model/base/errors.ts'
import { nameOfId, unscale } from '../model/features/draw-value.ts'
import { createNumericFieldEncoder, createSparseFieldEncoder, idsOf } from '../model/features/field.ts'
import type { Field, HashField } from '../schemas/features.ts'

/** Hashes are inverted by trial, which finds a value for practically every id up to this number of buckets. */
const mostBuckets = 100_000

/**
 * Decodes a model's input, an id of the field (from 0) or a scaled number, into the value that a request gives. `wrong` creates
 * the error from a message that continues after "is".
 */
export function nameValue(field: Field, encoded: number, wrong: (message: string) => ModelError): string | number {
  if (field.kind === 'numeric') {
    const value = unscale(field, encoded)
    const again = createNumericFieldEncoder(field).encode(value)
    // Scaling and back rounds.
    if (typeof again === 'string' || Math.abs(again - encoded) > 1e-5 * Math.max(1, Math.abs(encoded)))
      throw wrong(`${encoded}, which is not the scaled form of any value of ${field.name}`)
    return value
  }
  if (!Number.isInteger(encoded) || encoded < 0 || encoded >= idsOf(field))
    throw wrong(`${encoded}, but the ids of ${field.name} are 0 … ${idsOf(field) - 1}`)
  if (field.kind === 'hash') return unhash(field, encoded, wrong)
  return nameOfId(field, encoded)
}

function unhash(field: HashField, id: number, wrong: (message: string) => ModelError): string {
  const { encode } = createSparseFieldEncoder(field, 0)
  for (let n = 0; field.buckets <= mostBuckets && n < 20 * field.buckets; n++)
    if (encode(`value ${n}`) === id) return `value ${n}`
  throw wrong(`${id}, and no value with that hash is known for ${field.name}: give named rows`)
}

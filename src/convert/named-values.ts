import type { ModelError } from '../model/base/errors.ts'
import { nameOfId, unscale } from '../model/features/draw-value.ts'
import { createNumericFieldEncoder, createSparseFieldEncoder, idsOf } from '../model/features/field.ts'
import type { Field, HashField } from '../schemas/features.ts'

/** A hash is turned round by trying; of as many ids as this, some value hits each for sure enough. */
const mostBuckets = 100_000

/**
 * The value that a request gives for what the model takes: an id of the field, from 0, or a number, scaled. `wrong` makes
 * the error of a message that goes on after "is".
 */
export function nameValue(field: Field, encoded: number, wrong: (message: string) => ModelError): string | number {
  if (field.kind === 'numeric') {
    const value = unscale(field, encoded)
    const again = createNumericFieldEncoder(field).encode(value)
    // Scaling and back rounds.
    if (typeof again === 'string' || Math.abs(again - encoded) > 1e-5 * Math.max(1, Math.abs(encoded)))
      throw wrong(`${encoded}, which no value of ${field.name} is scaled to`)
    return value
  }
  if (!Number.isInteger(encoded) || encoded < 0 || encoded >= idsOf(field))
    throw wrong(`no id of ${field.name}, which has ${idsOf(field)}`)
  if (field.kind === 'hash') return unhash(field, encoded, wrong)
  return nameOfId(field, encoded)
}

function unhash(field: HashField, id: number, wrong: (message: string) => ModelError): string {
  const { encode } = createSparseFieldEncoder(field, 0)
  for (let n = 0; field.buckets <= mostBuckets && n < 20 * field.buckets; n++)
    if (encode(`value ${n}`) === id) return `value ${n}`
  throw wrong(`${id}, and no value that ${field.name} hashes to it is known: give rows by name`)
}

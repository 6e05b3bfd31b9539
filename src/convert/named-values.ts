import type { ModelError } from '../model/errors.ts'
import { createNumericFieldEncoder, createSparseFieldEncoder, idsOf } from '../model/features/field.ts'
import type { Field, HashField, NumericField, SparseField } from '../schemas/features.ts'

/** A hash is turned round by trying; of as many ids as this, some value hits each for sure enough. */
const mostBuckets = 100_000

/** A value that a request may give for a field, drawn at random. `random` is uniform over [0, 1). */
export function drawValue(field: Field, random: () => number): string | number {
  if (field.kind === 'numeric') return unscale(field, Math.fround(normal(random)))
  if (field.kind === 'hash') return `value ${Math.floor(random() * 1e9)}`
  return nameOfId(field, Math.floor(random() * idsOf(field)))
}

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

function nameOfId(field: Exclude<SparseField, HashField>, id: number): string | number {
  const bucket = field.out_of_vocabulary === 'bucket'
  if (field.kind === 'integer') return bucket ? (id === 0 ? field.size : id - 1) : id
  if (!bucket) return field.values[id]!
  if (id > 0) return field.values[id - 1]!
  const known = new Set(field.values)
  let unknown = 'unknown'
  while (known.has(unknown)) unknown += '?'
  return unknown
}

function unhash(field: HashField, id: number, wrong: (message: string) => ModelError): string {
  const { encode } = createSparseFieldEncoder(field, 0)
  for (let n = 0; field.buckets <= mostBuckets && n < 20 * field.buckets; n++)
    if (encode(`value ${n}`) === id) return `value ${n}`
  throw wrong(`${id}, and no value that ${field.name} hashes to it is known: give rows by name`)
}

function unscale({ scaling }: NumericField, scaled: number): number {
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

/** Box and Muller's. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

import type { EncodedRequest, Layout } from './layout.ts'

/**
 * Per row of the request, the fields whose value is outside the model's vocabulary or range, in manifest order; undefined for
 * a row that was left out. `given` says whether the request has a value for a field in a row: a default outside the vocabulary
 * does not count.
 */
export function unknownFields(
  { slots, sparse }: Layout,
  encoded: Pick<EncodedRequest, 'requested' | 'rows' | 'sparse' | 'index'>,
  given: (row: number, name: string) => boolean,
): (string[] | undefined)[] {
  const fields = slots.flatMap(({ name, sparse: isSparse, column }) => {
    const encoder = isSparse ? sparse[column] : undefined
    if (encoder === undefined || encoder.field.kind === 'hash' || encoder.field.out_of_vocabulary !== 'bucket')
      return []
    // The bucket is the field's first id.
    return [{ name, column, bucket: encoder.offset, byDefault: encoder.missing === encoder.offset }]
  })
  const unknown = new Array<string[] | undefined>(encoded.requested)
  for (let entry = 0; entry < encoded.rows; entry++) {
    const row = encoded.index?.[entry] ?? entry
    const first = entry * sparse.length
    const names: string[] = []
    for (const { name, column, bucket, byDefault } of fields)
      if (encoded.sparse[first + column] === bucket && (!byDefault || given(row, name))) names.push(name)
    unknown[row] = names
  }
  return unknown
}

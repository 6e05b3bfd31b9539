import type { EncoderSource } from '../../model/serving/features/encoder.ts'
import type { Manifest } from '../../schemas/manifest.ts'

/**
 * The source of a version's encoder with the values of its vocabularies, which the main thread does not send: their
 * copy would hold requests up. `has`: whether a field has all that judging its values needs.
 */
export function withVocabularies(
  source: EncoderSource,
  manifestBytes: Uint8Array | undefined,
): { source: EncoderSource; has(name: string): boolean } {
  if ('columns' in source) return { source, has: () => true }
  const values = new Map<string, string[]>()
  for (const field of featuresOf(manifestBytes))
    if (field.kind === 'vocabulary' && Array.isArray(field.values)) values.set(field.name, field.values)
  const features = source.features.map((field) =>
    field.kind === 'vocabulary' ? { ...field, values: values.get(field.name) ?? field.values } : field,
  )
  const lacking = new Set(
    source.features.flatMap(({ name, kind }) => (kind === 'vocabulary' && !values.has(name) ? [name] : [])),
  )
  const tableOf = (name: string): string => {
    const field = source.features.find((one) => one.name === name)
    return field?.kind === 'shared' ? field.table : name
  }
  return { source: { ...source, features }, has: (name) => !lacking.has(tableOf(name)) }
}

/** None where the manifest is gone, or is being replaced. */
function featuresOf(manifestBytes: Uint8Array | undefined): Manifest['features'] {
  try {
    return (JSON.parse(Buffer.from(manifestBytes ?? '').toString()) as Manifest).features
  } catch {
    return []
  }
}

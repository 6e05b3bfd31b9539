/** A field's default as people say it: of whole numbers, one above the largest stands for any unknown value. */
export function nameOfDefault({
  kind,
  default: value = '',
  maximum,
}: {
  kind: string
  default?: string | number | undefined
  maximum?: number | undefined
}): string {
  if (value === '') return 'an empty text'
  if (kind === 'integer' && maximum !== undefined && Number(value) > maximum) return 'any unknown value'
  return String(value)
}

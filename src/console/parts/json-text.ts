/** How a language writes the values of JSON. */
export interface Notation {
  none: string
  true: string
  false: string
  /** After the last of several lines. */
  comma: string
  /** Before each level of lines. */
  indent: string
}

const json: Notation = { none: 'null', true: 'true', false: 'false', comma: '', indent: '  ' }

/** JSON to read, or the same in a language whose texts have JSON's escapes: an array of single values has one line. */
export function jsonText(value: unknown, notation = json, most = Number.POSITIVE_INFINITY, indent = ''): string {
  const inner = indent + notation.indent
  const textOf = (item: unknown) => jsonText(item, notation, most, inner)
  const lines = ([open, close]: string, items: readonly string[]) =>
    `${open}\n${items.map((item) => inner + item).join(',\n')}${notation.comma}\n${indent}${close}`
  if (value === null || value === undefined) return notation.none
  if (typeof value === 'boolean') return value ? notation.true : notation.false
  if (typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) {
    if (value.some((item) => typeof item === 'object' && item !== null)) return lines('[]', value.map(textOf))
    const more = value.length > most ? [`… + ${value.length - most}`] : []
    return `[${[...value.slice(0, most).map(textOf), ...more].join(', ')}]`
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  if (entries.length === 0) return '{}'
  return lines(
    '{}',
    entries.map(([name, item]) => `${JSON.stringify(name)}: ${textOf(item)}`),
  )
}

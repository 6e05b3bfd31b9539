/**
 * A value of JSON as text that reads back the same, also where it has numbers that `JSON.stringify` changes: −0, and
 * those beyond the largest, which JSON can spell.
 */
export function jsonText(value: unknown): string {
  if (typeof value === 'number') return numberText(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  const properties = Object.entries(value).map(([name, of]) => `${JSON.stringify(name)}:${jsonText(of)}`)
  return `{${properties.join(',')}}`
}

function numberText(value: number): string {
  if (Object.is(value, -0)) return '-0'
  if (Number.isFinite(value)) return String(value)
  return value > 0 ? '1e999' : '-1e999'
}

/** Escape sequences in JSON, of which pairs of surrogates are one. */
const escapes = /\\(?:ud[89ab]..\\ud[c-f]..|u....|.)/gi

/** A line of JSON with U+FFFD for halves of surrogate pairs: other programs refuse a file for one of these. */
export function wellFormedLine(line: string): string {
  if (!/\\ud/i.test(line)) return line
  return line.replace(escapes, (found) => (/^\\ud[89a-f]..$/i.test(found) ? '\ufffd' : found))
}

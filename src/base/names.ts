import { closestName } from '../schemas/closest-name.ts'

/** Most characters of a client's name in a message. */
const longestName = 64

/** The beginning of a name that a client gave: it may be megabytes long. */
export function shortName(name: string): string {
  return name.length > longestName ? `${name.slice(0, longestName)}…` : name
}

/** Most names in a message. */
const most = 20

/** The first names, and the number of the others. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, most).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}

/** The end of a message about an unknown name: a suggestion, if a known name is close, and the known names. */
export function suggestNames(wrong: string, known: readonly string[], lead = 'it has'): string {
  if (known.length === 0) return ''
  const meant = closestName(wrong, known)
  const list = listNames(known)
  if (meant === undefined) return `; ${lead} ${list}`
  return `; did you mean ${JSON.stringify(meant)}? ${lead[0]!.toUpperCase()}${lead.slice(1)} ${list}`
}

/** Ascending numeric order of versions: positive integers without leading zeros. */
export function compareVersions(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

/** The problem of a name that no field has, with those that it may stand for. */
export function notAField(name: string, fields: readonly string[]): string {
  return `${JSON.stringify(name)} is not a field${suggestNames(name, fields)}`
}

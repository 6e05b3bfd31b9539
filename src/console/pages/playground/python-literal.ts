/** Where and how it is asked. */
export interface Caller {
  /** The server, without a slash at its end. */
  url: string
  /** Requests carry a key, which is read from the variable MULTIGATE_KEY and never written down. */
  hasKey: boolean
}

/** A string, number, list or dictionary of Python: JSON's escapes mean the same there. */
export function pythonLiteral(value: unknown, indent = ''): string {
  const inner = `${indent}    `
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object' || item === null))
      return `[${value.map((item) => pythonLiteral(item)).join(', ')}]`
    return `[\n${value.map((item) => `${inner}${pythonLiteral(item, inner)},\n`).join('')}${indent}]`
  }
  if (typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    const shown = entries.map(([name, item]) => `${inner}${JSON.stringify(name)}: ${pythonLiteral(item, inner)},\n`)
    return entries.length === 0 ? '{}' : `{\n${shown.join('')}${indent}}`
  }
  return JSON.stringify(value)
}

import { readFileSync } from 'node:fs'

/** Names of the processor's features, as Linux lists them; undefined on other systems, which don't say. */
export function processorFeatures(): ReadonlySet<string> | undefined {
  try {
    const [, names] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1')) ?? []
    return names === undefined ? undefined : new Set(names.trim().split(/\s+/))
  } catch {
    return undefined
  }
}

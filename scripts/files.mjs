import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The files of a folder and of those below it, their paths beginning with its own; none where it is absent. */
export function filesBelow(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

// Which compiled modules import which.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** By compiled file: what it names in its imports. */
const known = new Map()

/** The names by which a compiled file imports others. */
export function importsOf(file) {
  let names = known.get(file)
  if (names === undefined) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    names = [...text.matchAll(/\b(?:from|import)\s*\(?\s*["']([^"'\n]+)["']/g)].map(([, name]) => name)
    known.set(file, names)
  }
  return names
}

/** These have been compiled again. */
export function forgetImports(files) {
  for (const file of files) known.delete(file)
}

/** Compiled files that import one of `files`, directly or through others, and these themselves; the nearest first. */
export function importersOf(files) {
  const importers = new Map()
  for (const folder of ['build/src', 'build/test'])
    for (const name of readdirSync(folder, { recursive: true })) {
      if (!name.endsWith('.js')) continue
      const file = join(folder, name)
      for (const imported of importsOf(file).filter((name) => name.startsWith('.'))) {
        const path = join(dirname(file), imported)
        importers.set(path, [...(importers.get(path) ?? []), file])
      }
    }
  const found = new Set(files)
  for (const file of found) for (const importer of importers.get(file) ?? []) found.add(importer)
  return [...found]
}

// Which compiled modules import which.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesBelow } from './files.mjs'

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
  for (const file of ['build/src', 'build/test'].flatMap(filesBelow).filter((file) => file.endsWith('.js')))
    for (const imported of importsOf(file).filter((name) => name.startsWith('.'))) {
      const path = join(dirname(file), imported)
      if (!importers.has(path)) importers.set(path, [])
      importers.get(path).push(file)
    }
  const found = new Set(files)
  for (const file of found) for (const importer of importers.get(file) ?? []) found.add(importer)
  return [...found]
}

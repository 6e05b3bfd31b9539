// Files that scripts write from other files, and parts of pages between two markers.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..')

/**
 * Writes a file where it has another text, or removes it where `text` is undefined; answers whether. With `--check` it
 * stays: it is said to be out of date, and the process ends with 1.
 */
export function writeGenerated(path, text, command) {
  const file = join(root, path)
  const current = existsSync(file) ? readFileSync(file, 'utf8') : undefined
  if (current === text) return false
  if (process.argv.includes('--check')) {
    console.error(`${path} is out of date: run ${command}`)
    process.exitCode = 1
    return false
  }
  mkdirSync(dirname(file), { recursive: true })
  if (text === undefined) rmSync(file)
  else writeFileSync(file, text)
  return true
}

/** A page with this text between the markers `<!-- name -->` and `<!-- /name -->`. Throws where `page` has none. */
export function withPart(text, name, part, page) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${page} has no markers ${begin} … ${end}`)
  return `${text.slice(0, from)}${begin}\n${part}${text.slice(to)}`
}

// Writes the table of settings, made from the configuration's schema, between the markers
// `<!-- configuration -->` and `<!-- /configuration -->` of docs/configuration.md and README.md.
//   node scripts/configuration-table.mjs            writes
//   node scripts/configuration-table.mjs --check    writes nothing; ends with 1 where a file is out of date
// Reads the compiled schema: compile first (npm run build).
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const [begin, end] = ['<!-- configuration -->', '<!-- /configuration -->']

const { Configuration } = await import(join(root, 'build/src/schemas/configuration.js'))
const table = renderTable(Configuration)
let outdated = 0

for (const file of ['docs/configuration.md', 'README.md']) {
  const path = join(root, file)
  if (!existsSync(path)) continue
  const text = readFileSync(path, 'utf8')
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) {
    console.error(`${file} has no markers ${begin} … ${end}`)
    outdated++
    continue
  }
  const updated = `${text.slice(0, from)}${begin}\n${table}${text.slice(to)}`
  if (updated === text) continue
  if (process.argv.includes('--check')) {
    console.error(`${file} is out of date: run node scripts/configuration-table.mjs`)
    outdated++
  } else {
    writeFileSync(path, updated)
    console.log(`${file} written`)
  }
}
process.exitCode = outdated > 0 ? 1 : 0

function renderTable({ properties }) {
  const rows = Object.entries(properties).map(([name, schema]) =>
    [`\`${name}\``, valuesOf(schema), defaultOf(schema), schema.description].map((cell) => cell.replaceAll('|', '\\|')),
  )
  const lines = [['variable', 'values', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows]
  return `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`
}

function valuesOf({ type, anyOf, minimum, exclusiveMinimum, maximum }) {
  if (anyOf) return anyOf.map((literal) => `\`${literal.const}\``).join(', ')
  if (type === 'boolean') return '`true`, `false`'
  if (type === 'string') return 'text'
  const least = exclusiveMinimum === undefined ? minimum : `above ${exclusiveMinimum}`
  return `${least} … ${maximum}${type === 'integer' ? '' : ', fractions too'}`
}

function defaultOf({ default: value }) {
  return value === '' ? 'none' : `\`${value}\``
}

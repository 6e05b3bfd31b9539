// Writes the table of settings between the markers `<!-- configuration -->` and `<!-- /configuration -->` of
// docs/configuration.md, from the configuration schema.
//   node scripts/configuration-table.mjs            writes
//   node scripts/configuration-table.mjs --check    writes nothing; exits with 1 when the table is out of date
// Reads the compiled schema: run npm run setup -- --modules first.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const [begin, end] = ['<!-- configuration -->', '<!-- /configuration -->']

const { Configuration } = await import(join(root, 'build/src/schemas/configuration.js'))
const table = renderTable(Configuration)
const path = join(root, 'docs/configuration.md')
const text = readFileSync(path, 'utf8')
const from = text.indexOf(begin)
const to = text.indexOf(end)
const updated = `${text.slice(0, from)}${begin}\n${table}${text.slice(to)}`

if (from < 0 || to < from) fail(`has no markers ${begin} … ${end}`)
else if (updated !== text && process.argv.includes('--check'))
  fail('is out of date: run node scripts/configuration-table.mjs')
else if (updated !== text) {
  writeFileSync(path, updated)
  console.log('docs/configuration.md written')
}

function fail(problem) {
  console.error(`docs/configuration.md ${problem}`)
  process.exitCode = 1
}

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

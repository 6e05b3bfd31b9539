// Writes the tables of settings in docs/configuration.md and of a training spec's properties in docs/spec.md, each
// between two markers such as `<!-- configuration -->` and `<!-- /configuration -->`, from their schemas.
//   node scripts/schema-tables.mjs            writes
//   node scripts/schema-tables.mjs --check    writes nothing; exits with 1 when a page is out of date
// Reads the compiled schemas: run npm run setup -- --modules first.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { withPart, writeGenerated } from './generated.mjs'

const root = join(import.meta.dirname, '..')
const { Configuration } = await import(join(root, 'build/src/schemas/configuration.js'))
const { withArchitectures } = await import(join(root, 'build/src/model/graph/architectures/table.js'))
const TrainSpec = withArchitectures((await import(join(root, 'build/src/schemas/train-spec.js'))).TrainSpec)

update('configuration', settings(Configuration))
update('spec', sections(TrainSpec))

/** Writes `content` into docs/<name>.md. */
function update(name, content) {
  const page = `docs/${name}.md`
  const updated = withPart(readFileSync(join(root, page), 'utf8'), name, content, page)
  if (writeGenerated(page, updated, 'node scripts/schema-tables.mjs')) console.log(`${page} written`)
}

function settings({ properties }) {
  const rows = Object.entries(properties).map(([name, schema]) => [
    `\`${name}\``,
    valuesOf(schema),
    schema.default === '' ? 'none' : `\`${schema.default}\``,
    schema.description,
  ])
  return tableOf(['variable', 'values', 'default', 'meaning'], rows)
}

/** A section for the spec itself, and one for each of its properties that has properties of its own. */
function sections(spec) {
  const parts = Object.entries(spec.properties).flatMap(([name, schema]) => {
    const members = objectsOf(schema)
    if (members.length === 0) return []
    const tag = tagOf(members)
    const tables = members.map((member) => {
      const [[first, { const: constant }]] = Object.entries(member.properties)
      const title = tag ? `${tag}: ${member.properties[tag].const}` : constant ? `${first}: ${constant}` : first
      const own = members.length === 1 ? undefined : `\`${title}\``
      const about = [own, member.description].filter(Boolean).join(': ')
      return `${about ? `${wrapped(`${about}.`)}\n\n` : ''}${properties(member, tag)}`
    })
    return [`## \`${name}\`\n\n${tables.join('\n')}`]
  })
  return `\n${properties(spec)}\n${parts.join('\n')}\n`
}

/** Lines of at most 120 characters. */
function wrapped(text) {
  return text.replaceAll(/(?=.{121})(.{1,120}) /g, '$1\n')
}

/** The table of an object's properties; those of objects within follow their own, by path. */
function properties(schema, tag) {
  const rows = []
  const add = ({ properties, required = [] }, path) => {
    for (const [name, property] of Object.entries(properties)) {
      if (name === tag) continue
      const isSection = path === '' && schema === TrainSpec && objectsOf(property).length > 0
      const fallback =
        property.default === undefined ? (required.includes(name) ? 'required' : '') : code(property.default)
      rows.push([
        `\`${path}${name}\``,
        isSection ? `[below](#${name})` : valuesOf(property),
        fallback,
        property.description ?? '',
      ])
      const [only, ...others] = objectsOf(property)
      // Also of one object or a list of such.
      if (!isSection && only && others.every((other) => other.properties === only.properties))
        add(only, `${path}${name}${property.type === 'array' ? '[].' : '.'}`)
    }
  }
  add(schema, '')
  return tableOf(['property', 'values', 'default', 'meaning'], rows)
}

/** The objects that a property may be, or a list of it. */
function objectsOf({ anyOf, items, properties, ...schema }) {
  if (anyOf) return anyOf.flatMap(objectsOf)
  if (items) return objectsOf(items)
  return properties ? [{ properties, ...schema }] : []
}

/** The property whose constant tells members of a union apart. */
function tagOf(members) {
  if (members.length < 2) return undefined
  return Object.keys(members[0].properties).find((name) => members.every((one) => one.properties[name]?.const))
}

function valuesOf(schema) {
  const { type, anyOf, items, minimum, exclusiveMinimum, maximum, patternProperties } = schema
  if (schema.const !== undefined) return code(schema.const)
  if (anyOf) return [...new Set(anyOf.map(valuesOf))].join(', ')
  if (type === 'array') return `list of ${valuesOf(items)}`
  if (patternProperties) return `by name: ${valuesOf(Object.values(patternProperties)[0])}`
  if (type === 'object') return 'object'
  if (type === 'boolean') return '`true`, `false`'
  if (type === 'string' || type === undefined) return 'text'
  const least = exclusiveMinimum === undefined ? minimum : `above ${exclusiveMinimum}`
  const whole = type === 'integer' ? '' : ', fractions too'
  if (least === undefined) return type === 'integer' ? 'integer' : 'number'
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) return `${least} … ${maximum}${whole}`
  return `${exclusiveMinimum === undefined ? 'at least ' : ''}${least}${whole}`
}

function code(value) {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function tableOf(head, rows) {
  const escaped = rows.map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')))
  const lines = [head, head.map(() => '---'), ...escaped]
  return `${lines.map((cells) => `| ${cells.join(' | ')} |`.replaceAll('  ', ' ')).join('\n')}\n`
}

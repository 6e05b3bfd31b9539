import { readdir } from 'node:fs/promises'
import t from 'tap'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { BuiltInArchitecture } from '../../src/model/graph/architectures/table.ts'

/** Every schema that src/schemas exports, by module and name, and that of the architectures. */
const folder = new URL('../../src/schemas/', import.meta.url)
const schemas: [name: string, schema: TSchema][] = [['table.js BuiltInArchitecture', BuiltInArchitecture]]
for (const file of (await readdir(folder)).filter((name) => name.endsWith('.js')).sort()) {
  const module = (await import(new URL(file, folder).href)) as Record<string, unknown>
  for (const [name, value] of Object.entries(module)) if (isSchema(value)) schemas.push([`${file} ${name}`, value])
}

t.test('there are schemas to check', async (t) => {
  t.ok(schemas.length > 30)
})

for (const [name, schema] of schemas) {
  t.test(`${name} compiles`, async (t) => {
    t.doesNotThrow(() => Compile(schema))
  })

  t.test(`${name}: every default and example is a value of its schema`, async (t) => {
    walk(schema, '', (part, path) => {
      if ('default' in part) t.ok(Value.Check(part, part.default), `${path} default ${JSON.stringify(part.default)}`)
      if (!('examples' in part)) return
      t.ok(Array.isArray(part.examples) && part.examples.length > 0, `${path} examples are a list`)
      for (const example of part.examples as unknown[])
        t.ok(Value.Check(part, example), `${path} example ${JSON.stringify(example)}`)
    })
  })

  t.test(`${name}: every pattern is a regular expression that JSON Schema's other readers take`, async (t) => {
    walk(schema, '', (part, path) => {
      if ('pattern' in part) t.doesNotThrow(() => new RegExp(String(part.pattern), 'u'), path)
    })
  })

  t.test(`${name} is plain JSON`, async (t) => {
    t.doesNotThrow(() => JSON.stringify(schema))
  })
}

function isSchema(value: unknown): value is TSchema {
  return typeof value === 'object' && value !== null && '~kind' in value
}

function walk(schema: unknown, path: string, visit: (part: TSchema, path: string) => void): void {
  if (typeof schema !== 'object' || schema === null) return
  if (isSchema(schema)) visit(schema, path || '/')
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'default' || key === 'examples' || key === 'const') continue
    walk(value, `${path}/${key}`, visit)
  }
}

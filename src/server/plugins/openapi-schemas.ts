import type { TSchema } from 'typebox'

/*
 * Schemas as they stand in the OpenAPI document: the same values fit them, but readers and generators of clients
 * understand them better.
 */

type Json = Record<string, unknown>

/** Before a schema's name in its `$id`: an application around this one has names of its own. */
const space = 'multigate.'

/** A reference to the schema of that name. */
export function referenceTo(name: string): { $ref: string } {
  return { $ref: `${space}${name}#` }
}

/** The document's name of the schema with that `$id`. */
export function nameOf($id: string): string {
  return $id.startsWith(space) ? $id.slice(space.length) : $id
}

/**
 * The schemas by their names, each part that is one of them replaced by a reference: so a client has one type for it,
 * wherever it stands.
 */
export function documentSchemas(schemas: Record<string, TSchema>): Record<string, TSchema> {
  const plain = Object.entries(schemas).map(([name, schema]) => [name, readable(schema)] as const)
  const names = new Map(plain.map(([name, schema]) => [JSON.stringify(schema), name]))
  return Object.fromEntries(
    plain.map(([name, schema]) => [name, { ...(withReferences(schema, names, name) as TSchema), $id: space + name }]),
  )
}

/** Literals as one `enum`; records of any key as `additionalProperties`. */
function readable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(readable)
  if (typeof schema !== 'object' || schema === null) return schema
  const { anyOf, patternProperties, description, ...rest } = schema as Json
  if (Array.isArray(anyOf) && anyOf.every(isLiteral)) {
    const meanings = anyOf.flatMap((literal) =>
      literal.description === undefined ? [] : [`\`${literal.const}\` ${literal.description}`],
    )
    const text = [description, ...(meanings.length > 0 ? [meanings.join('; ')] : [])].filter(Boolean).join(': ')
    const choices = { type: 'string', enum: anyOf.map((literal) => literal.const) }
    return { ...rest, ...choices, ...(text === '' ? {} : { description: text }) }
  }
  const { [anyKey]: values, ...patterns } = (patternProperties ?? {}) as Json
  const whole: Json = {
    ...(schema as Json),
    ...(values === undefined ? {} : { additionalProperties: values, patternProperties: patterns }),
  }
  if (values !== undefined && Object.keys(patterns).length === 0) delete whole.patternProperties
  return Object.fromEntries(Object.entries(whole).map(([key, value]) => [key, readable(value)]))
}

/** The pattern that TypeBox gives a record whose keys may be any. */
const anyKey = '^.*$'

function isLiteral(schema: { const?: unknown }): schema is { const: string; description?: string } {
  return typeof schema.const === 'string'
}

function withReferences(schema: unknown, names: ReadonlyMap<string, string>, own?: string): unknown {
  if (Array.isArray(schema)) return schema.map((part) => withReferences(part, names))
  if (typeof schema !== 'object' || schema === null) return schema
  const name = names.get(JSON.stringify(schema))
  if (name !== undefined && name !== own) return referenceTo(name)
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withReferences(value, names)]))
}

/** Marks the schema of a body that a request may leave out: @fastify/swagger requires every body. */
export const optionalBody = 'x-optional-body'

/**
 * The finished document, without what was only a detour: `allOf` of one reference, which stood around it so that
 * examples could stand beside it, and the marks of optional bodies. Operations that refuse nothing of their own get
 * `unreadable`, which any can answer.
 */
export function finishDocument<T extends { paths?: object }>(document: T, unreadable: unknown): T {
  for (const operations of Object.values(document.paths ?? {})) {
    for (const { responses, requestBody } of Object.values(operations as Record<string, Operation>)) {
      for (const { schema } of Object.values(requestBody?.content ?? {})) {
        if (schema === undefined || !Object.hasOwn(schema, optionalBody)) continue
        delete schema[optionalBody]
        requestBody!.required = false
      }
      if (responses && !Object.keys(responses).some((status) => status.startsWith('4'))) responses[400] = unreadable
    }
  }
  return unwrapped(document) as T
}

interface Operation {
  responses?: Json
  requestBody?: { required?: boolean; content: Record<string, { schema?: Json }> }
}

function unwrapped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrapped)
  if (typeof value !== 'object' || value === null) return value
  const { allOf, ...rest } = value as Json
  if (Array.isArray(allOf) && allOf.length === 1 && Object.keys(rest).length === 0) return unwrapped(allOf[0])
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unwrapped(part)]))
}

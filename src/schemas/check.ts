import type Type from 'typebox'
import { Check, Errors } from 'typebox/schema'
import { didYouMean } from './closest-name.ts'
import { isObject, pointer } from './json.ts'
import type { ProblemItem } from './problem.ts'

/** The parts of JSON Schema that specs are written in. */
interface Schema {
  type?: string
  description?: string
  const?: unknown
  default?: unknown
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean
  items?: Schema
  uniqueItems?: boolean
  /** The value of another property beside which this one must be left out; it then gets no default. */
  leftOut?: { beside: [key: string, value: unknown]; because: string }
}

/**
 * Checks `value` against `schema`, adds every problem to `problems` (paths are JSON pointers below `path`), and
 * returns a copy with defaults filled in. In a union of objects the member is chosen by the constant property that
 * distinguishes them, so that problems refer to the intended one.
 */
export function check(schema: Type.TSchema, value: unknown, path: string, problems: ProblemItem[]): unknown {
  return checkPart(schema as Schema, value, path, problems)
}

function checkPart(schema: Schema, value: unknown, path: string, problems: ProblemItem[]): unknown {
  if (schema.anyOf) return checkUnion(schema, schema.anyOf, value, path, problems)
  if (schema.type === 'object' && schema.properties && isObject(value))
    return checkObject(schema, value, path, problems)
  if (schema.type === 'object' && schema.patternProperties && isObject(value))
    return checkRecord(schema, schema.patternProperties, value, path, problems)
  if (schema.type === 'array' && schema.items && Array.isArray(value)) {
    const { items } = schema
    if (isAnyString(items) && value.every((item) => typeof item === 'string')) {
      const { items: _, uniqueItems, ...whole } = schema
      addProblems(whole, value, path, problems)
      if (uniqueItems && new Set(value).size < value.length)
        problems.push({ path, message: 'must not have duplicate items' })
      return value
    }
    // Such as numbers: nothing is to be filled in, and usually nothing is wrong with any.
    if (isSingle(items) && Check(schema as Type.TSchema, value)) return value
    addProblems({ ...schema, items: {} }, value, path, problems)
    return value.map((item, index) => checkPart(items, item, `${path}/${index}`, problems))
  }
  addProblems(schema, value, path, problems)
  return value
}

/** Checks an object whose names follow patterns. */
function checkRecord(
  { additionalProperties }: Schema,
  patterns: Record<string, Schema>,
  value: Record<string, unknown>,
  path: string,
  problems: ProblemItem[],
): unknown {
  // JSON Schema lets other names be, unless it says otherwise.
  const strict = additionalProperties === false
  const parts = Object.entries(patterns).map(([pattern, part]) => ({ names: new RegExp(pattern), part }))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const at = `${path}${pointer(key)}`
      const part = parts.find(({ names }) => names.test(key))?.part
      if (part) return [key, checkPart(part, item, at, problems)]
      if (strict) problems.push({ path: at, message: 'is no valid name' })
      return [key, item]
    }),
  )
}

function checkObject(schema: Schema, value: Record<string, unknown>, path: string, problems: ProblemItem[]): unknown {
  const properties = schema.properties ?? {}
  const result: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(properties)) {
    const at = `${path}${pointer(key)}`
    if (part.leftOut && value[part.leftOut.beside[0]] === part.leftOut.beside[1]) {
      if (value[key] !== undefined) problems.push({ path: at, message: `must be left out: ${part.leftOut.because}` })
    } else if (value[key] !== undefined) result[key] = checkPart(part, value[key], at, problems)
    else if (part.default !== undefined) result[key] = structuredClone(part.default)
    else if (schema.required?.includes(key)) problems.push({ path: at, message: 'is required' })
  }
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(properties, key)) continue
    if (schema.additionalProperties !== false) {
      result[key] = value[key]
      continue
    }
    problems.push({
      path: `${path}${pointer(key)}`,
      message: `is unknown; known are ${Object.keys(properties).join(', ')}${didYouMean(key, Object.keys(properties))}`,
    })
  }
  return result
}

function checkUnion(union: Schema, members: Schema[], value: unknown, path: string, problems: ProblemItem[]): unknown {
  const objects = members.filter((member) => member.properties)
  if (isObject(value) && objects.length > 0) {
    // Where some members have a constant whose key is given, it is one of those.
    const tagged = objects.filter(({ properties = {} }) =>
      Object.entries(properties).some(([key, { const: constant }]) => constant !== undefined && key in value),
    )
    if (tagged.length > 0 && tagged.length < objects.length) return checkUnion(union, tagged, value, path, problems)
    const chosen = chooseMember(objects, value)
    if (chosen) return checkObject(chosen, value, path, problems)
    const key = tagOf(objects)
    const tags = objects.map((member) => (key && member.properties?.[key]) || member)
    const hint = key ? meantChoice(value[key], tags) : ''
    problems.push({ path: key ? `${path}/${key}` : path, message: `must be ${choices(tags)}${hint}` })
    return value
  }
  // A list among members of other types, or a record: problems refer to it.
  const fitting = Array.isArray(value)
    ? members.filter(({ type }) => type === 'array')
    : members.filter(({ patternProperties }) => isObject(value) && patternProperties)
  if (fitting.length === 1) return checkPart(fitting[0]!, value, path, problems)
  if (!Check(union as Type.TSchema, value))
    problems.push({ path, message: `must be ${choices(members)}${meantChoice(value, members)}` })
  return value
}

/** A guess at the constant that a wrong string was to be. */
function meantChoice(value: unknown, members: readonly Schema[]): string {
  const names = members.flatMap(({ const: constant }) => (typeof constant === 'string' ? [constant] : []))
  return typeof value === 'string' ? didYouMean(value, names) : ''
}

/** The member whose constants `value` has; without constants, the one that shares most keys with it. */
function chooseMember(objects: Schema[], value: Record<string, unknown>): Schema | undefined {
  if (objects.length === 1) return objects[0]
  const key = tagOf(objects)
  if (key) return objects.find((member) => member.properties?.[key]?.const === value[key])
  const shared = objects.map(
    (member) => Object.keys(value).filter((name) => Object.hasOwn(member.properties ?? {}, name)).length,
  )
  return objects[shared.indexOf(Math.max(...shared))]
}

/** The property that is a constant in every member. */
function tagOf(objects: Schema[]): string | undefined {
  const first = objects[0]?.properties ?? {}
  return Object.keys(first).find((key) => objects.every((member) => member.properties?.[key]?.const !== undefined))
}

/** Types of JSON, for messages. */
const typeNames: Record<string, string> = {
  array: 'a list',
  string: 'a string',
  number: 'a number',
  integer: 'an integer',
  boolean: 'a boolean',
  null: 'null',
}

function choices(members: Schema[]): string {
  return members
    .map(({ const: constant, properties, patternProperties, type }) => {
      if (constant !== undefined) return JSON.stringify(constant)
      if (properties) return `an object with ${Object.keys(properties).join(', ')}`
      if (patternProperties) return 'an object'
      return typeNames[type ?? ''] ?? 'another type'
    })
    .join(' or ')
}

/** A schema of values without parts. */
function isSingle({ type, anyOf }: Schema): boolean {
  return anyOf === undefined && type !== 'object' && type !== 'array'
}

function addProblems(schema: Schema, value: unknown, path: string, problems: ProblemItem[]): void {
  // Takes less time than to look for errors where there are none.
  if (Check(schema as Type.TSchema, value)) return
  for (const error of Errors(schema as Type.TSchema, value)[1]) {
    // A pattern alone says too little to people.
    const what = error.keyword === 'pattern' && schema.description ? ` (${schema.description})` : ''
    for (const { path: place, message } of plainProblems(error))
      problems.push({ path: path + place, message: message + what })
  }
}

/** A schema that every string fits. Lists of such may be long (vocabularies), and are looked at as a whole. */
function isAnyString({ type, description: _, ...more }: Schema): boolean {
  return type === 'string' && Object.keys(more).length === 0
}

/** An error of a schema, as TypeBox and Ajv report it. */
export interface SchemaError {
  keyword: string
  instancePath: string
  params?: object
  message?: string | undefined
}

interface Params {
  type?: string | string[]
  limit?: number
  multipleOf?: number
  allowedValue?: unknown
  requiredProperties?: string[]
}

/** The problems of one schema error, in plain English; a missing property is a problem at its own path. */
export function plainProblems(error: SchemaError): ProblemItem[] {
  const { requiredProperties } = (error.params ?? {}) as Params
  if (error.keyword === 'required' && requiredProperties !== undefined)
    return requiredProperties.map((name) => ({ path: `${error.instancePath}${pointer(name)}`, message: 'is required' }))
  return [{ path: error.instancePath, message: plainMessage(error) }]
}

const types: Record<string, string> = {
  array: 'an array',
  boolean: 'true or false',
  integer: 'an integer',
  null: 'null',
  number: 'a number',
  object: 'an object',
  string: 'a string',
}

/** The problem of a value in plain English; the validator's own message where that is clear. */
export function plainMessage({ keyword, params, message }: SchemaError): string {
  const { type, limit = 0, multipleOf, allowedValue } = (params ?? {}) as Params
  switch (keyword) {
    case 'type':
      return `must be ${[type ?? []]
        .flat()
        .map((name) => types[name] ?? name)
        .join(' or ')}`
    case 'minLength':
      return `must have at least ${count(limit, 'character')}`
    case 'maxLength':
      return `must have at most ${count(limit, 'character')}`
    case 'minItems':
      return `must have at least ${count(limit, 'item')}`
    case 'maxItems':
      return `must have at most ${count(limit, 'item')}`
    case 'minimum':
      return `must be at least ${limit}`
    case 'maximum':
      return `must be at most ${limit}`
    case 'exclusiveMinimum':
      return `must be greater than ${limit}`
    case 'exclusiveMaximum':
      return `must be less than ${limit}`
    case 'multipleOf':
      return `must be a multiple of ${multipleOf}`
    case 'const':
      return `must be ${JSON.stringify(allowedValue)}`
    default:
      return message ?? 'is invalid'
  }
}

/** A number and its noun, in the plural unless the number is 1. */
export const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`

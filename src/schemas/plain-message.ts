import { pointer } from './json.ts'
import type { ProblemItem } from './problem.ts'

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

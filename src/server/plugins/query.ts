import type { FastifySchemaCompiler } from 'fastify'
import type { Violation } from '../../base/errors.ts'
import { suggestNames } from '../../base/names.ts'
import { invalidRequest } from '../../model/serving/features/problems.ts'

/** JSON schema of a query string; every parameter is a whole number with a default. */
export interface QuerySchema {
  type: 'object'
  properties: Record<string, QueryParameter>
}

interface QueryParameter {
  type: 'integer'
  minimum: number
  maximum: number
  default: number
  description: string
}

/** Longer numbers exceed what any parameter may be. */
const wholeNumber = /^\d{1,16}$/

/**
 * Reads query strings by their schema. Fastify's default validator coerces `Infinity` to an integer, drops unknown
 * parameters and stops at the first error.
 */
export const queryCompiler: FastifySchemaCompiler<unknown> = ({ schema, httpPart }) =>
  httpPart === 'querystring'
    ? (query: Record<string, unknown>) => readQuery((schema as QuerySchema).properties, query)
    : (value) => ({ value })

function readQuery(parameters: QuerySchema['properties'], query: Record<string, unknown>) {
  const problems: Violation[] = []
  const value: Record<string, number> = {}
  for (const [name, parameter] of Object.entries(parameters)) {
    const given = query[name]
    if (given === undefined) value[name] = parameter.default
    else if (typeof given !== 'string') problems.push({ path: `?${name}`, message: 'must be given once' })
    else if (wholeNumber.test(given) && isWithin(parameter, Number(given))) value[name] = Number(given)
    else
      problems.push({
        path: `?${name}`,
        message: `must be a whole number from ${parameter.minimum} to ${parameter.maximum}`,
      })
  }
  const known = Object.keys(parameters)
  for (const name of Object.keys(query)) {
    if (Object.hasOwn(parameters, name)) continue
    problems.push({
      path: `?${name}`,
      message: `is not a parameter of this path${suggestNames(name, known, 'it takes')}`,
    })
  }
  return problems.length > 0 ? { error: invalidRequest(problems) } : { value }
}

const isWithin = ({ minimum, maximum }: QueryParameter, value: number) => value >= minimum && value <= maximum

import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { Settings } from 'typebox/system'
import type { Violation } from '../../base/errors.ts'
import { invalidRequest, maxViolations } from '../../model/serving/features/problems.ts'
import { plainProblems, type SchemaError } from '../../schemas/check.ts'
import { isObject } from '../../schemas/json.ts'
import { maxTasks, PredictEnvelope } from '../../schemas/predict.ts'

/*
 * TypeBox looks at the whole of a value for its errors, however many it is asked for: a body of a million wrong items
 * would keep the process for seconds. So it is only ever shown what can hold the errors that are reported.
 */

/** A schema that is compiled, and its source. */
export interface Checker<T = unknown> {
  schema: TSchema
  Check(value: unknown): value is T
  Errors(value: unknown): SchemaError[]
}

export function createChecker<S extends TSchema>(schema: S) {
  const compiled = Compile(schema)
  return {
    schema,
    Check: (value: unknown): value is Static<S> => compiled.Check(value),
    Errors: (value: unknown): SchemaError[] => compiled.Errors(value)[1],
  }
}

const envelope = createChecker(PredictEnvelope)

/**
 * Checks the body of `POST /predict`, but not yet the rows: these are the feature encoder's. Throws INVALID_REQUEST
 * with every problem and its JSON pointer.
 */
export function checkEnvelope(body: unknown): PredictEnvelope {
  const bad = badTasks(body)
  if (bad !== undefined) throw invalidRequest([bad])
  if (envelope.Check(body)) return body
  throw invalidRequest(allProblems(envelope, body))
}

/** Everything in which a value is not as its schema says, up to the limit of problems that are reported. */
export function allProblems(checker: Checker, value: unknown): Violation[] {
  return allErrors(checker, shown(checker.schema as Shape, value))
    .flatMap((error) => {
      // Each unknown name is already reported, with the keyword `boolean`.
      if (error.keyword === 'additionalProperties') return []
      if (error.keyword === 'boolean') return [{ path: error.instancePath, message: 'is not known here' }]
      return plainProblems(error)
    })
    .slice(0, maxViolations)
}

/** The same where null is as good as absent: only what else there could be helps. */
export function helpfulProblems(checker: Checker, value: unknown): Violation[] {
  return allProblems(checker, value).filter(({ message }) => !/^must be null$|anyOf/.test(message))
}

/**
 * Problems of an array's items, each by its place below `path`; looks no further than the last one that is reported.
 */
export function itemProblems(checker: Checker, items: readonly unknown[], path: string): Violation[] {
  const problems: Violation[] = []
  for (let i = 0; i < items.length && problems.length < maxViolations; i++) {
    if (checker.Check(items[i])) continue
    for (const { path: place, message } of helpfulProblems(checker, items[i]))
      problems.push({ path: `${path}/${i}${place}`, message })
  }
  return problems.slice(0, maxViolations)
}

/** The parts of JSON Schema that decide what of a value has to be shown. */
interface Shape {
  properties?: Record<string, Shape>
  additionalProperties?: unknown
  items?: Shape
  maxItems?: number
  anyOf?: Shape[]
}

/**
 * The part of a value that can hold problems that are reported: of an object its known names and some others, of an
 * array its first items.
 */
function shown({ properties, additionalProperties, items, maxItems, anyOf }: Shape, value: unknown): unknown {
  if (anyOf !== undefined) {
    const shape = anyOf.find((one) => (Array.isArray(value) ? one.items : isObject(value) && one.properties))
    return shape === undefined ? value : shown(shape, value)
  }
  if (Array.isArray(value)) return items === undefined ? value : value.slice(0, (maxItems ?? maxViolations) + 1)
  if (properties === undefined || !isObject(value)) return value
  const part: Record<string, unknown> = {}
  for (const name in properties) {
    if (Object.hasOwn(value, name)) part[name] = shown(properties[name]!, value[name])
  }
  if (additionalProperties !== false) return part
  let unknown = 0
  for (const name in value) {
    if (Object.hasOwn(properties, name)) continue
    part[name] = value[name]
    if (++unknown === maxViolations) break
  }
  return part
}

/** TypeBox hashes tasks to find repeated ones: millions of them, or deeply nested ones, are refused before. */
function badTasks(body: unknown): Violation | undefined {
  const tasks: unknown = (body as PredictEnvelope | null)?.tasks
  if (!Array.isArray(tasks)) return undefined
  if (tasks.length > maxTasks) return { path: '/tasks', message: `must have at most ${maxTasks} items` }
  const nested = tasks.findIndex((task) => typeof task === 'object')
  return nested < 0 ? undefined : { path: `/tasks/${nested}`, message: 'must be a string' }
}

/** TypeBox collects eight errors by default, a setting of the whole process: it is changed for this call alone. */
function allErrors(checker: Checker, value: unknown): ReturnType<Checker['Errors']> {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: maxViolations })
  try {
    return checker.Errors(value)
  } finally {
    Settings.Set({ maxErrors })
  }
}

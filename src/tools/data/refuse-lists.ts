import type { Violation } from '../../base/errors.ts'
import { isObject } from '../../schemas/json.ts'

const why =
  'training takes one value per field; multigate init describes models with lists that other programs have trained'

/** A problem of a training spec's fields, which are no lists: says so where one is described. */
export function refuseLists(problem: Violation, spec: unknown): Violation {
  const [, index, property] = /^\/fields\/(\d+)\/(kind|list|sequence)$/.exec(problem.path) ?? []
  if (property === undefined) return problem
  if (property !== 'kind') return { ...problem, message: `can't be trained: ${why}` }
  const field = isObject(spec) && Array.isArray(spec.fields) ? spec.fields[Number(index)] : undefined
  const kind = isObject(field) ? field.kind : undefined
  return kind === 'vector' || kind === 'shared' ? { ...problem, message: `${kind} can't be trained: ${why}` } : problem
}

import type { Static, TSchema } from 'typebox'
import { Check, Errors } from 'typebox/schema'
import { ModelError } from '../../../base/errors.ts'
import { plainProblems } from '../../../schemas/check.ts'

/**
 * `value` if it has the form of `schema`; else throws INVALID_BUNDLE with the file, `problem`, and the first mismatch.
 */
export function checkFormat<T extends TSchema>(schema: T, value: unknown, file: string, problem: string): Static<T> {
  if (Check(schema, value)) return value
  const [mismatch] = Errors(schema, value)[1].flatMap(plainProblems)
  throw new ModelError('INVALID_BUNDLE', `${file}: ${problem}: ${mismatch?.path || '/'} ${mismatch?.message}`)
}

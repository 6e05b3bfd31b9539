import { ModelError } from '../../../base/errors.ts'

/* Errors that name the file, or the place in it, of a saved graph. */

/** INVALID_BUNDLE: something is missing or damaged. */
export function invalidIn(file: string, what: string, cause?: unknown): ModelError {
  return new ModelError('INVALID_BUNDLE', `${file}: ${what}`, cause === undefined ? {} : { cause })
}

/** UNSUPPORTED_GRAPH: the graph can't be computed or compiled. */
export function unsupportedIn(file: string, what: string, cause?: unknown): ModelError {
  return new ModelError('UNSUPPORTED_GRAPH', `${file}: ${what}`, cause === undefined ? {} : { cause })
}

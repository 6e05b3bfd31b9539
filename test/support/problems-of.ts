import { ModelError } from '../../src/base/errors.ts'

/** The problems of a request, as `path message`; throws where there are none. */
export function problemsOf(encode: () => unknown): string[] {
  try {
    encode()
  } catch (error) {
    if (error instanceof ModelError && error.code === 'INVALID_REQUEST')
      return (error.problems ?? []).map(({ path, message }) => `${path} ${message}`)
    throw error
  }
  throw new Error('nothing is wrong')
}

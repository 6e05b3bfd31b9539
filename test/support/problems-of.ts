import { ModelError } from '../../src/base/errors.ts'

/** What is wrong with a request, as `path message`; throws where nothing is. */
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

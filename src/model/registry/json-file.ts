import { reasonOf } from '../base/errors.ts'

/** Throws an Error with a message of one line. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // V8 quotes the text, line ends included.
    throw new Error(`is not JSON: ${reasonOf(error).replaceAll(/\s+/g, ' ')}`, { cause: error })
  }
}

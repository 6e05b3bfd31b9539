import { isAscii, isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { reasonOf } from '../../model/base/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'
import { defaultBounds, type JsonBounds, smallBody, whyCostly } from './json-bounds.ts'

/** Reads a JSON body. Throws INVALID_REQUEST, with the place, where it is none, and for keys that would reach into an object's prototype. */
export function readJson(body: Buffer, bounds: JsonBounds = defaultBounds): unknown {
  if (body.length === 0) throw invalidRequest([{ path: '', message: 'must be JSON; it is empty' }])
  const ascii = isAscii(body)
  const costly = body.length > smallBody ? whyCostly(body, bounds) : undefined
  if (costly !== undefined) throw invalidRequest([{ path: '', message: costly }])
  // Else bytes that are no text would become U+FFFD, in features and ids alike.
  if (!ascii && !isUtf8(body)) throw invalidRequest([{ path: '', message: 'must be UTF-8' }])
  return parseText(ascii ? body.toString('latin1') : body.toString())
}

export function parseText(text: string): unknown {
  try {
    // Only such a text can hold the key, and to look for it costs far less than to look for all ways to write it.
    if (!text.includes('__proto__') && !text.includes('\\u')) return JSON.parse(withoutMark(text))
    return secureJson.parse(text, undefined, { protoAction: 'error', constructorAction: 'ignore' })
  } catch (error) {
    throw invalidRequest([{ path: '', message: `must be JSON: ${reasonOf(error)}` }])
  }
}

/** Without the byte order mark that some editors put first. */
function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

import { isAscii, isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { reasonOf } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'

/** Reads a JSON body. Throws INVALID_REQUEST, with the place, where it is none, and for keys that would reach into an object's prototype. */
export function readJson(body: Buffer): unknown {
  if (body.length === 0) throw invalidRequest([{ path: '', message: 'must be JSON; it is empty' }])
  const ascii = isAscii(body)
  if (body.length > longestUnlooked && isDeep(body))
    throw invalidRequest([{ path: '', message: `must be JSON of at most ${deepest} arrays and objects in each other` }])
  // Else bytes that are no text would become U+FFFD, in features and ids alike.
  if (!ascii && !isUtf8(body)) throw invalidRequest([{ path: '', message: 'must be UTF-8' }])
  return parseText(ascii ? body.toString('latin1') : body.toString())
}

/** Bytes of a body up to which deep nesting costs little: its parsing takes milliseconds. */
const longestUnlooked = 1 << 18

/** Nothing that is asked for nests deeper than a handful. */
const deepest = 1000

/** Whether brackets nest deeper than anything that is asked for: millions of them would keep the process for seconds. */
function isDeep(body: Buffer): boolean {
  let depth = 0
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!
    if (c === 0x22) {
      for (i++; i < body.length && body[i] !== 0x22; i++) if (body[i] === 0x5c) i++
    } else if (c === 0x5b || c === 0x7b) {
      if (++depth > deepest) return true
    } else if (c === 0x5d || c === 0x7d) depth--
  }
  return false
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

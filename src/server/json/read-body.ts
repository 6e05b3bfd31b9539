import { isAscii, isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { reasonOf } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'

/** Reads a JSON body. Throws INVALID_REQUEST, with the place, where it is none, and for keys that would reach into an object's prototype. */
export function readJson(body: Buffer): unknown {
  if (body.length === 0) throw invalidRequest([{ path: '', message: 'must be JSON; it is empty' }])
  const ascii = isAscii(body)
  const costly = body.length > longestUnlooked ? whyCostly(body) : undefined
  if (costly !== undefined) throw invalidRequest([{ path: '', message: costly }])
  // Else bytes that are no text would become U+FFFD, in features and ids alike.
  if (!ascii && !isUtf8(body)) throw invalidRequest([{ path: '', message: 'must be UTF-8' }])
  return parseText(ascii ? body.toString('latin1') : body.toString())
}

/** Bytes of a body that take milliseconds to parse, whatever they are. */
const longestUnlooked = 1 << 18

/** Nothing that is asked for nests deeper than a handful. */
const deepest = 1000

/** Nor has it more names than some thousands of features. */
const mostNames = 20_000

/** Bits to count different names by their hashes: a power of two, several times as many. */
const nameBits = 1 << 18

/**
 * Why a body that is larger than most is none that anybody needs: millions of brackets in each other, or of different names of
 * properties, would keep the process for seconds.
 */
function whyCostly(body: Buffer): string | undefined {
  let depth = 0
  let names = 0
  const seen = new Uint8Array(nameBits / 8)
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!
    if (c === quote) {
      let hash = 0
      for (i++; i < body.length && body[i] !== quote; i++) {
        hash = Math.imul(hash ^ body[i]!, 0x01000193)
        if (body[i] === backslash) i++
      }
      let next = i + 1
      while (isSpace(body[next])) next++
      if (body[next] !== colon) continue
      const bit = (hash ^ (hash >>> 15)) & (nameBits - 1)
      const mask = 1 << (bit & 7)
      if ((seen[bit >> 3]! & mask) !== 0) continue
      seen[bit >> 3]! |= mask
      if (++names > mostNames) return `must be JSON with at most ${mostNames} different names of properties`
    } else if (c === 0x5b || c === 0x7b) {
      if (++depth > deepest) return `must be JSON of at most ${deepest} arrays and objects in each other`
    } else if (c === 0x5d || c === 0x7d) depth--
  }
  return undefined
}

const [quote, backslash, colon] = Buffer.from('"\\:') as unknown as [number, number, number]
const isSpace = (c: number | undefined) => c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09

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

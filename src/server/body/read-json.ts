import { isAscii, isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import type { TSchema } from 'typebox'
import { reasonOf, type Violation } from '../../base/errors.ts'
import { suggestNames } from '../../base/names.ts'
import { invalidRequest } from '../../model/serving/features/problems.ts'
import { pointer } from '../../schemas/json.ts'

/**
 * Reads a JSON body. Throws INVALID_REQUEST, with the place, where it is none, and for keys that would reach into an
 * object's prototype.
 */
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

/**
 * Bounds on the content of a body of JSON, whatever its size: counted in its bytes, before any object is made of it.
 */
export interface JsonBounds {
  /** Arrays and objects inside each other. */
  depth: number
  /** Different names of properties: each new one makes V8 describe a new kind of object. */
  names: number
  /** Arrays and objects in all. */
  containers: number
  /** Values in all. */
  values: number
}

/** Some times as much as 10,000 rows of a hundred fields have, each field with several values. */
export const defaultBounds: JsonBounds = { depth: 1000, names: 20_000, containers: 200_000, values: 2_000_000 }

/** Bounds of bodies with more rows than usual. */
export function boundsOf(maxRows: number): JsonBounds {
  const { containers, values } = defaultBounds
  return { ...defaultBounds, containers: Math.max(containers, 20 * maxRows), values: Math.max(values, 200 * maxRows) }
}

/**
 * Bodies up to this many bytes take a few milliseconds to parse, whatever they hold. To count what is in one takes
 * nearly as long as to parse it, which requests of a hundred candidates need not pay for.
 */
const tinyBody = 1 << 16

/** And up to this many where they hold no more than `quickBounds`. */
export const smallBody = 1 << 18

/** More than usual requests hold. Each different name takes one to three microseconds to parse. */
const quickBounds: JsonBounds = { ...defaultBounds, names: 1000, containers: 20_000 }

/**
 * Whether JSON of this many bytes, at the beginning of a body, can be parsed in the event loop without delaying other
 * requests.
 */
export function isQuick(body: Buffer, jsonBytes: number): boolean {
  if (jsonBytes <= tinyBody) return true
  return jsonBytes <= smallBody && whyCostly(body.subarray(0, jsonBytes), quickBounds) === undefined
}

/** Bits to count different names by their hashes: a power of two, several times as many. */
const nameBits = 1 << 18

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a
const comma = 0x2c

/**
 * Why a body is not worth parsing: it holds more than its bounds allow. Millions of objects, values, brackets inside
 * each other or different names would keep the process for seconds. Invalid JSON is left to the parser.
 */
export function whyCostly(body: Buffer, bounds: JsonBounds): string | undefined {
  let depth = 0
  let names = 0
  let containers = 0
  // One more than the commas of its containers, each of which is a value, too.
  let values = 1
  const seen = new Uint8Array(nameBits / 8)
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!
    if (c === comma) {
      if (++values > bounds.values) return `must be JSON with at most ${bounds.values} values`
    } else if (c === quote) {
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
      if (++names > bounds.names) return `must be JSON with at most ${bounds.names} different names of properties`
    } else if (c === 0x5b || c === 0x7b) {
      if (++depth > bounds.depth) return `must be JSON of at most ${bounds.depth} arrays and objects in each other`
      if (++containers > bounds.containers) return `must be JSON with at most ${bounds.containers} arrays and objects`
    } else if (c === 0x5d || c === 0x7d) depth--
  }
  return undefined
}

const isSpace = (c: number | undefined) => c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09

interface ObjectSchema {
  properties?: Record<string, ObjectSchema>
  additionalProperties?: unknown
}

/**
 * Adds to the problem of a key that a schema doesn't know which one was probably meant, and which there are; or where
 * the key belongs, if that is one level below.
 */
export function suggestKeys(schema: TSchema): (problem: Violation) => Violation {
  return ({ path, message }) => {
    const segments = path.split('/').slice(1)
    const key = segments.pop()
    const parent = segments.reduce<ObjectSchema | undefined>(
      (part, segment) => part?.properties?.[segment],
      schema as ObjectSchema,
    )
    const { properties, additionalProperties } = parent ?? {}
    if (key === undefined || !properties || additionalProperties !== false || Object.hasOwn(properties, key))
      return { path, message }
    const wrong = key.replaceAll('~1', '/').replaceAll('~0', '~')
    const home = Object.keys(properties).find((name) => Object.hasOwn(properties[name]!.properties ?? {}, wrong))
    if (home !== undefined) {
      const place = [...segments, home].map((segment) => `/${segment}`).join('') + pointer(wrong)
      return { path, message: `${message}; did you mean ${place}?` }
    }
    return { path, message: message + suggestNames(wrong, Object.keys(properties), 'there is') }
  }
}

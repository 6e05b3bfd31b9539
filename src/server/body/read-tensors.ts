import { isUtf8 } from 'node:buffer'
import { KeyList } from '../../model/contracts/key-list.ts'
import { NumberMatrix } from '../../model/serving/features/number-matrix.ts'
import { parseText } from './read-json.ts'

/*
 * Reads tensors from a JSON body without an array per row in between. Only what is plainly an object with number
 * matrices under `sparse` and `dense` is read so; all else, and all that is wrong, is left to JSON.parse, whose answers
 * these are.
 */

/** Numbers of the body that is being read: two matrices one after the other. Grows, and is used again. */
let scratch = new Float64Array(1 << 14)
let used = 0

/** Most numbers for which memory is kept: that of a larger body is given back. */
const longestKept = 1 << 18

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const minus = 0x2d
const point = 0x2e
const zero = 0x30
const nine = 0x39
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
const backslash = 0x5c

/**
 * Most bytes of each value beside the tensors, such as a model's name or options. Longer ones are left to JSON.parse.
 */
const longestOther = 4096

/** Powers of ten that a double holds exactly. */
const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => 10 ** exponent)

/**
 * The body with `sparse` and `dense` as NumberMatrix, or undefined where it is to be read by JSON.parse. The matrices
 * are views of memory that the next call writes over: they must have been used by then.
 */
export function readTensors(body: Buffer): Record<string, unknown> | undefined {
  used = 0
  if (scratch.length > longestKept) scratch = new Float64Array(1 << 14)
  let at = skipSpace(body, 0)
  if (body[at] !== openBrace) return undefined
  at = skipSpace(body, at + 1)
  let sparse: NumberMatrix | undefined
  let dense: NumberMatrix | undefined
  let keys: KeyList | undefined
  /** Everything else, as text. */
  let rest = '{'
  for (;;) {
    const key = at
    if (body[key] !== quote) return undefined
    const afterKey = skipString(body, key)
    at = skipSpace(body, afterKey)
    if (body[at] !== colon) return undefined
    at = skipSpace(body, at + 1)
    const isSparse = isKey(body, key, afterKey, sparseKey)
    if (isKey(body, key, afterKey, candidatesKey)) {
      if (keys !== undefined) return undefined
      keys = readKeys(body, at)
      if (keys === undefined) return undefined
      at = position
    } else if (!isSparse && !isKey(body, key, afterKey, denseKey)) {
      const value = at
      at = skipValue(body, at)
      if (at < 0 || at - value > longestOther) return undefined
      rest += `${rest === '{' ? '' : ','}${body.toString('utf8', key, afterKey)}:${body.toString('utf8', value, at)}`
    } else {
      if ((isSparse ? sparse : dense) !== undefined) return undefined
      const matrix = readMatrix(body, at)
      if (matrix === undefined) return undefined
      if (isSparse) sparse = matrix
      else dense = matrix
      at = position
    }
    at = skipSpace(body, at)
    if (body[at] === closeBrace) break
    if (body[at] !== comma) return undefined
    at = skipSpace(body, at + 1)
  }
  if (skipSpace(body, at + 1) !== body.length || (sparse ?? dense ?? keys) === undefined) return undefined
  const read = rest === '{' ? {} : parseRest(`${rest}}`, body)
  // A key that was written with escapes: the last of the two counts.
  if (read === undefined || read.sparse !== undefined || read.dense !== undefined || read.candidates !== undefined)
    return undefined
  if (sparse !== undefined) read.sparse = sparse
  if (dense !== undefined) read.dense = dense
  if (keys !== undefined) read.candidates = keys
  return read
}

/** Undefined where it is refused: JSON.parse reports the problem with its place in the whole body. */
function parseRest(text: string, body: Buffer): Record<string, unknown> | undefined {
  // Perhaps of bytes that are no text.
  if (text.includes('\ufffd') && !isUtf8(body)) return undefined
  try {
    return parseText(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** Where the last matrix, or the last key, ended. */
let position = 0

/** `[[…], …]` from `at` on, all rows of one width; undefined where it is anything else. */
function readMatrix(body: Buffer, at: number): NumberMatrix | undefined {
  if (body[at] !== openBracket) return undefined
  const start = used
  let next = start
  let rows = 0
  let width = 0
  let i = skipSpace(body, at + 1)
  for (;;) {
    if (body[i] !== openBracket) return undefined
    const row = next
    let c: number
    do {
      i = skipSpace(body, i + 1)
      c = body[i]!
      const from = i
      const negative = c === minus
      if (negative) c = body[++i]!
      let mantissa = 0
      let digits = 0
      let exponent = 0
      if (c === zero) c = body[++i]!
      else if (c > zero && c <= nine) {
        do {
          mantissa = mantissa * 10 + (c - zero)
          digits++
          c = body[++i]!
        } while (c >= zero && c <= nine)
      } else return undefined
      if (c === point) {
        c = body[++i]!
        if (!(c >= zero && c <= nine)) return undefined
        do {
          mantissa = mantissa * 10 + (c - zero)
          if (mantissa > 0) digits++
          exponent--
          c = body[++i]!
        } while (c >= zero && c <= nine)
      }
      // A digit after a leading zero, and whatever else is no number, is seen by what follows it.
      let value: number
      if (c === 0x65 || c === 0x45) {
        c = body[++i]!
        if (c === minus || c === 0x2b) c = body[++i]!
        if (!(c >= zero && c <= nine)) return undefined
        do c = body[++i]!
        while (c >= zero && c <= nine)
        value = Number(body.toString('latin1', from, i))
      } else if (digits > 15 || exponent < -22) value = Number(body.toString('latin1', from, i))
      else {
        value = exponent === 0 ? mantissa : mantissa / powersOfTen[-exponent]!
        if (negative) value = -value
      }
      if (next === scratch.length) grow()
      scratch[next++] = value
      if (c !== comma && c !== closeBracket) {
        i = skipSpace(body, i)
        c = body[i]!
      }
    } while (c === comma)
    if (c !== closeBracket) return undefined
    if (rows++ === 0) width = next - row
    else if (next - row !== width) return undefined
    i = skipSpace(body, i + 1)
    if (body[i] === closeBracket) break
    if (body[i] !== comma) return undefined
    i = skipSpace(body, i + 1)
  }
  used = next
  position = i + 1
  return new NumberMatrix(rows, width, new Float64Array(scratch.buffer, start * 8, next - start))
}

/** A matrix read before keeps its own memory. */
function grow(): void {
  const larger = new Float64Array(scratch.length * 2)
  larger.set(scratch)
  scratch = larger
}

/** Places of keys in the body that is being read. Grow, and are used again. */
let starts = new Int32Array(1 << 8)
let ends = new Int32Array(1 << 8)

/** `["…", …]` from `at` on; undefined where it is anything else, or where a string is not printable ASCII. */
function readKeys(body: Buffer, at: number): KeyList | undefined {
  if (body[at] !== openBracket) return undefined
  if (starts.length > longestKept) [starts, ends] = [new Int32Array(1 << 8), new Int32Array(1 << 8)]
  let count = 0
  let i = at
  let c: number | undefined
  do {
    i = skipSpace(body, i + 1)
    if (body[i] !== quote) return undefined
    if (count === starts.length) [starts, ends] = [twice(starts), twice(ends)]
    starts[count] = ++i
    for (c = body[i]; c !== quote; c = body[++i])
      if (c === undefined || c < 0x20 || c > 0x7e || c === backslash) return undefined
    ends[count++] = i
    i = skipSpace(body, i + 1)
    c = body[i]
  } while (c === comma)
  if (c !== closeBracket) return undefined
  position = i + 1
  return new KeyList(body, starts.slice(0, count), ends.slice(0, count))
}

function twice(places: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * places.length)
  larger.set(places)
  return larger
}

const candidatesKey = Buffer.from('"candidates"')
const sparseKey = Buffer.from('"sparse"')
const denseKey = Buffer.from('"dense"')

function isKey(body: Buffer, from: number, to: number, key: Buffer): boolean {
  if (to - from !== key.length) return false
  for (let i = 0; i < key.length; i++) if (body[from + i] !== key[i]) return false
  return true
}

function skipSpace(body: Buffer, at: number): number {
  let i = at
  for (;;) {
    const c = body[i]
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i
    i++
  }
}

/** The place after a string that begins at `at`; JSON.parse checks its content. */
function skipString(body: Buffer, at: number): number {
  let i = at + 1
  while (i < body.length && body[i] !== quote) i += body[i] === backslash ? 2 : 1
  return i + 1
}

/** The place after a value that begins at `at`; −1 where it is the candidates of another form, or doesn't end. */
function skipValue(body: Buffer, at: number): number {
  let depth = 0
  const longest = Math.min(body.length, at + longestOther + 1)
  for (let i = at; i < longest; ) {
    const c = body[i]!
    if (c === quote) {
      i = skipString(body, i)
      if (depth === 0) return i
      continue
    }
    if (c === openBrace || c === openBracket) depth++
    else if (c === closeBrace || c === closeBracket) {
      if (depth === 0) return i
      depth--
      if (depth === 0) return i + 1
    } else if (c === comma && depth === 0) return i
    i++
  }
  return -1
}

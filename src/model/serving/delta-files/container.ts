import { createHash } from 'node:crypto'
import type { Static, TSchema } from 'typebox'
import { reasonOf } from '../../../base/errors.ts'
import { check } from '../../../schemas/check.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'

/*
 * The bytes of a delta file, little-endian: docs/live-tables.md describes them. What follows the header is of a live
 * table or of a feature table.
 */

const magic = 'MGDELTA1'
/** Bytes of the magic number and of the header's length. */
const prefixBytes = 12
const digestBytes = 32
const longestHeader = 1024 * 1024

/** `alignment`: the content begins at a multiple of it. */
export function encodeContainer(header: object, content: readonly Uint8Array[], alignment: number): Buffer {
  const text = Buffer.from(JSON.stringify(header))
  const padded = Buffer.alloc(Math.ceil((prefixBytes + text.length) / alignment) * alignment - prefixBytes, ' ')
  text.copy(padded)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(padded.length)
  const body = Buffer.concat([Buffer.from(magic), length, padded, ...content])
  return Buffer.concat([body, sha256(body)])
}

interface ContainerForm<T extends TSchema> {
  schema: T
  /** Bytes of the content. Throws an Error for a header that is none. */
  sizeOf(header: Static<T>): number
  alignment: number
}

/** Reads a delta file. Throws an Error that says what is wrong, and where. `content` is a view of `bytes`. */
export function decodeContainer<T extends TSchema>(
  bytes: Buffer,
  { schema, sizeOf, alignment }: ContainerForm<T>,
): { header: Static<T>; content: Buffer } {
  if (bytes.length < prefixBytes || bytes.toString('latin1', 0, magic.length) !== magic)
    throw new Error(`does not begin with ${magic}: it is no delta file`)
  const start = prefixBytes + bytes.readUInt32LE(magic.length)
  if (start - prefixBytes > longestHeader)
    throw new Error(`has a header of ${start - prefixBytes} bytes, more than ${longestHeader}`)
  if (start > bytes.length) throw new Error(`ends inside its header, after ${bytes.length} bytes`)
  if (start % alignment !== 0)
    throw new Error(`has a header of ${start - prefixBytes} bytes: pad it with spaces to a multiple of ${alignment}`)
  const header = parseHeader(schema, bytes.toString('utf8', prefixBytes, start))
  const size = start + sizeOf(header) + digestBytes
  if (bytes.length !== size)
    throw new Error(
      `has ${bytes.length} bytes, but its header describes ${size}: it is ${bytes.length < size ? 'truncated' : 'too long'}`,
    )
  const end = size - digestBytes
  if (!sha256(bytes.subarray(0, end)).equals(bytes.subarray(end)))
    throw new Error('is damaged: its last 32 bytes are not the SHA-256 of the others')
  return { header, content: bytes.subarray(start, end) }
}

function parseHeader<T extends TSchema>(schema: T, text: string): Static<T> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`has a header that is not JSON: ${reasonOf(error)}`)
  }
  const problems: ProblemItem[] = []
  const header = check(schema, value, '', problems) as Static<T>
  const [problem] = problems
  if (problem !== undefined) throw new Error(`header ${problem.path || 'as a whole'} ${problem.message}`)
  return header
}

/**
 * A digest of files with these SHA-256, by path, by which a delta names what it was made for: SHA-256 of a line
 * `<sha256>  <path>` for each, sorted by the bytes of the path.
 */
export function baseOf(files: Readonly<Record<string, string>>): string {
  const paths = Object.keys(files).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return sha256(Buffer.from(paths.map((path) => `${files[path]}  ${path}\n`).join(''))).toString('hex')
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

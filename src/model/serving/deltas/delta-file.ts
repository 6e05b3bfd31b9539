import { createHash } from 'node:crypto'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import { check } from '../../../schemas/check.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import { DeltaHeader } from '../../../schemas/models-folder.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'
import { deltasFolder } from '../bundle/checksum.ts'
import { realPathInside } from '../bundle/read.ts'

/*
 * The bytes of a delta file, little-endian: docs/live-tables.md describes them.
 */

const magic = 'MGDELTA1'
/** Bytes of the magic number and of the header's length. */
const prefixBytes = 12
const digestBytes = 32
/** Ids and rows begin at a multiple of 4. */
const alignment = 4
const longestHeader = 1024 * 1024

/** New rows of a field's table. */
export interface DeltaTable {
  field: string
  width: number
  /** uint32 [rows]: the field's own ids, from 0. */
  ids: Uint32Array
  /** float32 [rows, width]. */
  rows: Float32Array
}

export interface Delta extends Pick<DeltaHeader, 'model' | 'version' | 'base' | 'sequence'> {
  tables: DeltaTable[]
}

/**
 * A digest of the files that a manifest lists: SHA-256 of a line `<sha256>  <path>` for each, sorted by the bytes of
 * the path.
 */
export function baseOf({ files }: Pick<Manifest, 'files'>): string {
  const paths = Object.keys(files).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return sha256(Buffer.from(paths.map((path) => `${files[path]}  ${path}\n`).join(''))).toString('hex')
}

export function encodeDelta({ tables, ...about }: Delta): Buffer {
  const header: DeltaHeader = {
    ...about,
    tables: tables.map(({ field, width, ids }) => ({ field, rows: ids.length, width })),
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Buffer.alloc(Math.ceil((prefixBytes + text.length) / alignment) * alignment - prefixBytes, ' ')
  text.copy(padded)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(padded.length)
  const content = tables.flatMap(({ ids, rows }) => [viewBytes(ids), viewBytes(rows)])
  const body = Buffer.concat([Buffer.from(magic), length, padded, ...content])
  return Buffer.concat([body, sha256(body)])
}

/**
 * Reads a delta file. Throws an Error that says what is wrong, and where. The tables are views of `bytes`, or copies.
 */
export function decodeDelta(bytes: Buffer): Delta {
  if (bytes.length < prefixBytes || bytes.toString('latin1', 0, magic.length) !== magic)
    throw new Error(`does not begin with ${magic}: it is no delta file`)
  const start = prefixBytes + bytes.readUInt32LE(magic.length)
  if (start - prefixBytes > longestHeader)
    throw new Error(`has a header of ${start - prefixBytes} bytes, more than ${longestHeader}`)
  if (start > bytes.length) throw new Error(`ends inside its header, after ${bytes.length} bytes`)
  if (start % alignment !== 0)
    throw new Error(`has a header of ${start - prefixBytes} bytes: pad it with spaces to a multiple of ${alignment}`)
  const { tables, ...about } = parseHeader(bytes.toString('utf8', prefixBytes, start))
  const size = tables.reduce((sum, { rows, width }) => sum + 4 * rows * (1 + width), start) + digestBytes
  if (bytes.length !== size)
    throw new Error(
      `has ${bytes.length} bytes, but its header describes ${size}: it is ${bytes.length < size ? 'truncated' : 'too long'}`,
    )
  const end = size - digestBytes
  if (!sha256(bytes.subarray(0, end)).equals(bytes.subarray(end)))
    throw new Error('is damaged: its last 32 bytes are not the SHA-256 of the others')
  let at = start
  const next = (length: number) => {
    const part = bytes.subarray(at, at + length)
    at += length
    return aligned(part)
  }
  return {
    ...about,
    tables: tables.map(({ field, rows, width }) => {
      const ids = next(4 * rows)
      const values = next(4 * rows * width)
      return {
        field,
        width,
        ids: new Uint32Array(ids.buffer, ids.byteOffset, rows),
        rows: new Float32Array(values.buffer, values.byteOffset, rows * width),
      }
    }),
  }
}

function parseHeader(text: string): DeltaHeader {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`has a header that is not JSON: ${reasonOf(error)}`)
  }
  const problems: ProblemItem[] = []
  const header = check(DeltaHeader, value, '', problems) as DeltaHeader
  const [problem] = problems
  if (problem !== undefined) throw new Error(`header ${problem.path || 'as a whole'} ${problem.message}`)
  const fields = header.tables.map(({ field }) => field)
  const twice = fields.findIndex((field, i) => fields.indexOf(field) < i)
  if (twice >= 0) throw new Error(`header /tables/${twice}/field names ${JSON.stringify(fields[twice])} again`)
  return header
}

/** The same bytes at an address that typed arrays accept. */
function aligned(bytes: Buffer): Buffer | Uint8Array {
  return bytes.byteOffset % alignment === 0 ? bytes : new Uint8Array(bytes)
}

const viewBytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

const name = /^delta-([1-9][0-9]{0,8})\.bin$/
/** The name of a file that was meant to be a delta. */
const like = /^delta-.*\.bin$/

/** A delta file of a version. */
export interface DeltaFile {
  sequence: number
  /** Its path below the version's folder. */
  file: string
  bytes: number
  /** Changes when the file does. */
  stamp: string
}

/** A file that is not applied, and why. */
export interface Refused {
  file: string
  reason: string
}

export interface FoundDeltas {
  /** 1, 2, 3 … without a gap. */
  files: DeltaFile[]
  /** The first that is not one of these. */
  refused: Refused | undefined
}

export const fileOf = (sequence: number) => `${deltasFolder}/delta-${sequence}.bin`

/** The number in a delta's name; undefined for another name. */
export function sequenceOf(file: string): number | undefined {
  const found = name.exec(file)
  return found === null ? undefined : Number(found[1])
}

/**
 * The deltas of the version in `folder`. Rejects with the system's error where they can't be listed, and where the
 * version's folder is gone, with INVALID_BUNDLE where one leads out of it: then nothing is known of them.
 */
export async function findDeltas(folder: string): Promise<FoundDeltas> {
  const names = await readdir(join(folder, deltasFolder)).catch(async (error) => {
    if (error.code !== 'ENOENT') throw error
    await stat(folder)
    return []
  })
  const inside = await realpath(folder)
  const sequences = names.flatMap((file) => sequenceOf(file) ?? []).sort((a, b) => a - b)
  const gap = sequences.findIndex((sequence, i) => sequence !== i + 1)
  const contiguous = gap < 0 ? sequences : sequences.slice(0, gap)
  const files = await Promise.all(
    contiguous.map(async (sequence) => {
      const file = fileOf(sequence)
      const { mtimeMs, size, ino } = await stat(await realPathInside(inside, join(folder, file), file))
      return { sequence, file, bytes: size, stamp: `${mtimeMs} ${size} ${ino}` }
    }),
  )
  const odd = names.sort().find((file) => like.test(file) && sequenceOf(file) === undefined)
  if (gap >= 0) return { files, refused: { file: fileOf(sequences[gap]!), reason: `${fileOf(gap + 1)} is missing` } }
  return {
    files,
    refused:
      odd === undefined ? undefined : { file: `${deltasFolder}/${odd}`, reason: 'is not named delta-<number>.bin' },
  }
}

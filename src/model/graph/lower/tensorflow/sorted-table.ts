import { createCRC32 } from 'hash-wasm'
import { snappyUncompress } from 'hysnappy'
import { reasonOf } from '../../../../base/errors.ts'
import { invalidIn } from '../../ir/file-errors.ts'

/*
 * LevelDB's table format (its doc/table_format.md), as TensorFlow writes it for the index of a checkpoint: blocks of
 * sorted entries, an index block that lists them, and a footer with the location of the index.
 */

/** The end of every table, after the locations of the metaindex and index blocks. */
const footerBytes = 48
const magic = 0xdb4775248b80fb57n
/** After each block, its compression and checksum. */
const trailerBytes = 5
/** Maximum size of a block. */
const largestBlock = 1 << 28

interface BlockLocation {
  offset: number
  size: number
}

/**
 * All entries of a table, in order: keys as text, values as views of `bytes` unless they are compressed.
 * Throws INVALID_BUNDLE, naming `file` and the position of the error.
 */
export function readSortedTable(bytes: Uint8Array, file: string, crc: Crc32c): Map<string, Uint8Array> {
  const fail = (message: string): never => {
    throw invalidIn(file, message)
  }
  if (bytes.length < footerBytes) fail(`has ${bytes.length} bytes, fewer than the ${footerBytes} of a table`)
  const start = bytes.length - footerBytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getBigUint64(bytes.length - 8, true) !== magic) fail('is not the index of a checkpoint')

  const footer = new Reader(bytes.subarray(start, bytes.length - 8), `${file}: the footer at byte ${start}`)
  const meta = footer.place()
  const index = footer.place()

  function block({ offset, size }: BlockLocation): { content: Uint8Array; where: string } {
    const where = `${file}: the block at byte ${offset}`
    if (size > largestBlock || offset + size + trailerBytes > start)
      throw invalidIn(where, `its ${size} bytes lie outside of the file`)
    const content = bytes.subarray(offset, offset + size)
    crc.update(bytes.subarray(offset, offset + size + 1))
    if (crc.masked() !== view.getUint32(offset + size + 1, true))
      throw invalidIn(where, 'is damaged: its checksum is another')
    const compression = bytes[offset + size]
    if (compression === 0) return { content, where }
    if (compression !== 1) throw invalidIn(where, `is compressed in the unknown way ${compression}`)
    const whole = uncompress(content, where)
    uncompressed += whole.length
    if (uncompressed > largestBlock) fail(`its blocks are more than ${largestBlock} bytes, uncompressed`)
    return { content: whole, where }
  }

  const entries = new Map<string, Uint8Array>()
  let keys = 0
  let uncompressed = 0
  // Empty, but checked like other parts of the file.
  block(meta)
  const indexBlock = block(index)
  let covered = 0
  for (const [, value] of entriesOf(indexBlock.content, indexBlock.where)) {
    const place = new Reader(value, indexBlock.where).place()
    // Blocks must not overlap; otherwise one could be listed without end.
    covered += place.size + trailerBytes
    if (covered > start) fail(`the block at byte ${index.offset}: lists more blocks than the file has room for`)
    const { content, where } = block(place)
    for (const [key, value] of entriesOf(content, where)) {
      keys += key.length
      if (keys > mostOfKeys) fail(`its keys take more than ${mostOfKeys} bytes`)
      entries.set(key, value)
    }
  }
  return entries
}

/** Each entry shares a prefix of its key with the entry before. */
function* entriesOf(block: Uint8Array, where: string): Generator<[string, Uint8Array]> {
  const damaged = (at: number) => invalidIn(where, `is damaged at its byte ${at}`)
  if (block.length < 4) throw damaged(0)
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true)
  const end = block.length - 4 * (restarts + 1)
  if (end < 0) throw damaged(block.length - 4)
  const reader = new Reader(block.subarray(0, end), where)
  const text = new TextDecoder()
  let key = new Uint8Array(0)
  while (!reader.done) {
    const at = reader.at
    const shared = reader.varint()
    const unshared = reader.varint()
    const length = reader.varint()
    if (shared > key.length || shared + unshared > largestKey) throw damaged(at)
    const next = new Uint8Array(shared + unshared)
    next.set(key.subarray(0, shared))
    next.set(reader.take(unshared), shared)
    key = next
    yield [text.decode(key), reader.take(length)]
  }
}

/** Maximum length of a key. */
const largestKey = 1 << 16
/** Maximum length of all keys: each may add a few bytes to a long prefix. */
const mostOfKeys = 1 << 26

function uncompress(content: Uint8Array, where: string): Uint8Array {
  // Snappy begins with the uncompressed length; it encodes at most 64 bytes in 3.
  const length = new Reader(content, where).varint()
  if (length > largestBlock || length > content.length * 32)
    throw invalidIn(where, `claims to be ${length} bytes, compressed to ${content.length}`)
  try {
    return snappyUncompress(content, length)
  } catch (cause) {
    throw invalidIn(where, `can't be uncompressed: ${reasonOf(cause)}`, cause)
  }
}

class Reader {
  at = 0
  readonly #bytes: Uint8Array
  readonly #where: string

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes
    this.#where = where
  }

  get done(): boolean {
    return this.at >= this.#bytes.length
  }

  /** A number in groups of seven bits, lowest first. */
  varint(): number {
    let value = 0
    for (let factor = 1; factor < 2 ** 53; factor *= 128) {
      const [byte] = this.take(1)
      value += (byte! & 127) * factor
      if (byte! < 128) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
    }
    throw invalidIn(this.#where, `is damaged at its byte ${this.at}`)
  }

  place(): BlockLocation {
    return { offset: this.varint(), size: this.varint() }
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length) throw invalidIn(this.#where, `is damaged at its byte ${this.at}`)
    const taken = this.#bytes.subarray(this.at, this.at + length)
    this.at += length
    return taken
  }
}

/** Incremental CRC-32C, masked as TensorFlow and LevelDB store it. */
export interface Crc32c {
  update(bytes: Uint8Array): void
  /** The masked checksum of all bytes since the last call. */
  masked(): number
}

/** Castagnoli's polynomial, bit-reversed. */
const polynomial = 0x82f63b78

/** Added to stored checksums, since the CRC of data that contains its own CRC is problematic (LevelDB's crc32c.h). */
const mask = 0xa282ead8

export async function createCrc32c(): Promise<Crc32c> {
  const hasher = await createCRC32(polynomial)
  hasher.init()
  return {
    update(bytes) {
      hasher.update(bytes)
    },
    masked() {
      const digest = hasher.digest('binary')
      hasher.init()
      const crc = new DataView(digest.buffer, digest.byteOffset, 4).getUint32(0)
      return (((crc >>> 15) | (crc << 17)) + mask) >>> 0
    },
  }
}

import { createCRC32 } from 'hash-wasm'

/** CRC-32C of bytes that come in pieces, as TensorFlow and LevelDB store it: masked. */
export interface Crc32c {
  update(bytes: Uint8Array): void
  /** The masked checksum of all that came since the last call. */
  masked(): number
}

/** Castagnoli's polynomial, its bits reversed. */
const polynomial = 0x82f63b78

/** Added to a checksum that is stored beside what it is of, so that nobody takes the checksum of a checksum (LevelDB's crc32c.h). */
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

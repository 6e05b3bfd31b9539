import { createCRC32 } from 'hash-wasm'

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

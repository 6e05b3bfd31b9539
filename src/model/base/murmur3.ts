const utf8 = new TextEncoder()

/**
 * MurmurHash3_x86_32 of a string's UTF-8 bytes, as an unsigned 32-bit integer.
 *
 * The same as `mmh3.hash(value, seed, signed=False)` in Python and scikit-learn's feature hashing.
 * Source: Austin Appleby's public-domain definition (MurmurHash3.cpp).
 */
export function murmur3(value: string, seed: number): number {
  const bytes = utf8.encode(value)
  const blocks = bytes.length & ~3
  let hash = seed | 0
  for (let i = 0; i < blocks; i += 4) {
    const block = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    hash ^= mix(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let i = bytes.length - 1; i >= blocks; i--) tail = (tail << 8) | bytes[i]!
  if (blocks !== bytes.length) hash ^= mix(tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function mix(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}

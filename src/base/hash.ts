import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { mostBytesPerUnit, writeUtf8 } from './utf8.ts'

const utf8 = new TextEncoder()
/** Bytes of the string that is hashed: one memory for all, as nothing in it outlives a call. */
const kept = new Uint8Array(4096)
const mostUnits = Math.floor(kept.length / mostBytesPerUnit)

/**
 * MurmurHash3_x86_32 of a string's UTF-8 bytes, as an unsigned 32-bit integer.
 *
 * The same as `mmh3.hash(value, seed, signed=False)` in Python and scikit-learn's feature hashing.
 * Source: Austin Appleby's public-domain definition (MurmurHash3.cpp).
 */
export function murmur3(value: string, seed: number): number {
  const isShort = value.length <= mostUnits
  const bytes = isShort ? kept : utf8.encode(value)
  return murmur3OfBytes(bytes, 0, isShort ? writeUtf8(value, kept) : bytes.length, seed)
}

/** The same of the bytes from `start` to `end`. */
export function murmur3OfBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  const length = end - start
  const tailStart = start + (length & ~3)
  let hash = seed | 0
  for (let i = start; i < tailStart; i += 4)
    hash = addBlock(hash, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
  let tail = 0
  for (let i = end - 1; i >= tailStart; i--) tail = (tail << 8) | bytes[i]!
  if (tailStart !== end) hash ^= mix(tail)
  return scatter(hash ^ length)
}

/** Adds four bytes, little-endian, to a MurmurHash3_x86_32; `endHash` ends it. Both are exact for int32. */
export function addBlock(hash: number, block: number): number {
  const mixed = hash ^ mix(block)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** The hash of all blocks, an unsigned 32-bit integer. */
export function endHash(hash: number, blocks: number): number {
  return scatter(hash ^ (4 * blocks))
}

function mix(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}

/**
 * Mixes the bits of a number below 2³² (the end of MurmurHash3), so that neighbours are as far apart as any. One to
 * one.
 */
export function scatter(number: number): number {
  let mixed = number ^ (number >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/**
 * Which of `folds` parts of about equal size a bucket falls into: rows that alternate in some way do not fall apart by
 * it.
 */
export function foldOf(bucket: number, folds: number): number {
  return scatter(bucket) % folds
}

/** A hash, an int32, of the words [start, start + words) of `keys`. */
export type HashWords = (keys: Int32Array, start: number, words: number) => number

/** MurmurHash3 (x86, 32 bits) of int32 words, in two lanes that a processor runs side by side. An int32. */
export function hashWords(keys: Int32Array, start: number, words: number): number {
  let even = words
  let odd = 0x9747b28c
  let i = start
  for (const end = start + words - 1; i < end; i += 2) {
    even = addBlock(even, keys[i]!)
    odd = addBlock(odd, keys[i + 1]!)
  }
  if (i < start + words) even = addBlock(even, keys[i]!)
  return scatter(addBlock(even, odd)) | 0
}

/** A seeded stream of numbers, uniform over [0, 1): the same on every machine. */
export function createUniform(seed: number): () => number {
  const generator = xoroshiro128plus(seed)
  return () => uniformFloat64(generator)
}

/** A standard normal value (Box and Muller); `random` is uniform over [0, 1). */
export function standardNormal(random: () => number): number {
  // 1 − u is in (0, 1], so that its logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

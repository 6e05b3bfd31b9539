import kernel from './hash64.wat'
import { mostBytesPerUnit, writeUtf8 } from './utf8.ts'
import { compileKernel } from './wasm-kernel.ts'

/*
 * 64-bit hashes of strings, modulo a number of buckets. In JavaScript 64-bit integers are BigInt, which costs several
 * times as much as the hash. WebAssembly computes in them (hash64.wat), and only the remainder leaves it.
 */

/** Turns a string into its bucket, an integer from 0 to `buckets` − 1. */
export type BucketOf = (value: string) => number

interface Kernel {
  /** Bytes of the string to be hashed, from the first on. */
  bytes: Uint8Array
  farmhash64(length: number, buckets: number): number
  xxhash64(length: number, buckets: number, seed: number): number
}

/**
 * FarmHash's Fingerprint64 of a string's UTF-8 bytes, an unsigned integer, modulo `buckets`, 1 … 2³¹ − 1.
 *
 * The same as TensorFlow's `tf.strings.to_hash_bucket_fast(value, buckets)` and pyfarmhash's
 * `farmhash.fingerprint64(value) % buckets`. Source: google/farmhash, `farmhashna::Hash64`.
 */
export function farmhash64(buckets: number): BucketOf {
  return (value) => {
    const { bytes, farmhash64 } = kernelFor(value)
    return farmhash64(writeUtf8(value, bytes), buckets)
  }
}

/**
 * XXH64 of a string's UTF-8 bytes, an unsigned integer, modulo `buckets`, 1 … 2³¹ − 1. `seed`: an integer below 2³².
 *
 * The same as `xxhash.xxh64(value.encode(), seed).intdigest() % buckets` in Python. Source: "xxHash fast digest
 * algorithm", version 0.1.1.
 */
export function xxhash64(buckets: number, seed: number): BucketOf {
  return (value) => {
    const { bytes, xxhash64 } = kernelFor(value)
    return xxhash64(writeUtf8(value, bytes), buckets, seed)
  }
}

/** Memory for strings, bytes: a page of WebAssembly's. */
const keptBytes = 2 ** 16
const mostUnits = Math.floor(keptBytes / mostBytesPerUnit)

/** One for all fields of a thread: nothing in it outlives a call. */
let kept: Kernel | undefined
let instantiate: ReturnType<typeof compileKernel> | undefined

/** Longer strings are rare: each gets memory of its own, so that none is kept for them. */
function kernelFor(value: string): Kernel {
  if (value.length > mostUnits) return createKernel(mostBytesPerUnit * value.length)
  kept ??= createKernel(keptBytes)
  return kept
}

function createKernel(size: number): Kernel {
  instantiate ??= compileKernel(kernel, 'hash64')
  const { buffer, exports } = instantiate(size)
  return { bytes: new Uint8Array(buffer), ...(exports as unknown as Omit<Kernel, 'bytes'>) }
}

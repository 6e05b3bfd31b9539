/** A hash, an int32, of the words [start, start + words) of `keys`. */
export type HashWords = (keys: Int32Array, start: number, words: number) => number

/** MurmurHash3 (x86, 32 bits) of int32 words, in two lanes that a processor runs side by side. An int32. */
export function hashWords(keys: Int32Array, start: number, words: number): number {
  let even = words
  let odd = 0x9747b28c
  let i = start
  for (const end = start + words - 1; i < end; i += 2) {
    even = mix(even, keys[i]!)
    odd = mix(odd, keys[i + 1]!)
  }
  if (i < start + words) even = mix(even, keys[i]!)
  let hash = mix(even, odd)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function mix(lane: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51)
  const mixed = lane ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

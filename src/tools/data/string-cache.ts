/** Places for strings, a power of 2. */
const places = 2 ** 16
/** Most bytes of a string that is kept: longer ones are hardly met again. */
const width = 32

/**
 * Finds strings by their bytes, so that equal ones are decoded once and most often are one string. A string is
 * forgotten when another takes its place.
 */
export class StringCache {
  readonly #strings = new Array<string>(places).fill('')
  /** The strings' bytes, `width` for each place. */
  readonly #bytes = new Uint8Array(places * width)
  readonly #lengths = new Uint8Array(places)
  /** Place of the string that was looked for last. */
  #place = 0

  find(bytes: Uint8Array, from: number, end: number): string | undefined {
    const length = end - from
    if (length === 0) return ''
    if (length > width) return undefined
    let hash = 0x811c9dc5
    for (let at = from; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
    const place = (hash ^ (hash >>> 15)) & (places - 1)
    this.#place = place
    if (this.#lengths[place] !== length) return undefined
    const known = this.#bytes
    for (let i = 0, at = place * width; i < length; i++) if (known[at + i] !== bytes[from + i]) return undefined
    return this.#strings[place]
  }

  /** Keeps a string that `find` has just not found, and returns it. */
  add(bytes: Uint8Array, from: number, end: number, text: string): string {
    const length = end - from
    if (length > width) return text
    const place = this.#place
    for (let i = 0, at = place * width; i < length; i++) this.#bytes[at + i] = bytes[from + i]!
    this.#lengths[place] = length
    this.#strings[place] = text
    return text
  }
}

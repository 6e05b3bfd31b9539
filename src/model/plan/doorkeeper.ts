/** Remembers the last `size` hashes, a power of 2, or so: in buckets of 4, where a new one drives out the oldest. */
export class Doorkeeper {
  readonly #hashes: Int32Array

  constructor(size: number) {
    this.#hashes = new Int32Array(size)
  }

  /** Whether it remembers the hash; from now on it does. */
  admits(hash: number): boolean {
    const hashes = this.#hashes
    const print = hash === 0 ? 1 : hash
    const at = (hash << 2) & (hashes.length - 1)
    for (let i = at; i < at + 4; i++) if (hashes[i] === print) return true
    for (let i = at + 3; i > at; i--) hashes[i] = hashes[i - 1]!
    hashes[at] = print
    return false
  }

  clear(): void {
    this.#hashes.fill(0)
  }
}

/** Makes a thing once for all that use it, and frees it with the last of them. */
export class Shared<T> {
  readonly #free: (value: T) => void
  readonly #entries = new Map<string, { value: T; users: number }>()
  readonly #keys = new Map<T, string>()

  constructor(free: (value: T) => void) {
    this.#free = free
  }

  take(key: string, make: () => T): T {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { value: make(), users: 0 }
      this.#entries.set(key, entry)
      this.#keys.set(entry.value, key)
    }
    entry.users++
    return entry.value
  }

  /** Each that took it gives it back once. */
  give(value: T): void {
    const key = this.#keys.get(value)!
    const entry = this.#entries.get(key)!
    if (--entry.users > 0) return
    this.#entries.delete(key)
    this.#keys.delete(value)
    this.#free(value)
  }
}

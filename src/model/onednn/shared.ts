/** A thing that has to be freed: nothing may use it afterwards. */
export interface Releasable {
  release(): void
}

/** Makes a thing once for all that use it, and frees it with the last of them. */
export class Shared {
  readonly #entries = new Map<string, { value: Releasable; users: number }>()
  readonly #keys = new Map<object, string>()

  /** All values of a key have one type. */
  take<T extends Releasable>(key: string, make: () => T): T {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { value: make(), users: 0 }
      this.#entries.set(key, entry)
      this.#keys.set(entry.value, key)
    }
    entry.users++
    return entry.value as T
  }

  /** Each that took it gives it back once. */
  give(value: object): void {
    const key = this.#keys.get(value)!
    const entry = this.#entries.get(key)!
    if (--entry.users > 0) return
    this.#entries.delete(key)
    this.#keys.delete(value)
    entry.value.release()
  }
}

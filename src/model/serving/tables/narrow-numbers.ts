import { Blocks } from '../../../base/column-blocks.ts'

/** Numbers that are collected before they are stored: storing many takes a fraction of the time for each. */
const collected = 2 ** 12

/** A growing column of numbers, NaN where there is none, each block in the narrowest of some types. */
export class NarrowNumbers {
  readonly #blocks: Blocks
  readonly #last = new Float64Array(collected)
  #count = 0

  constructor(...widths: ConstructorParameters<typeof Blocks>[0]) {
    this.#blocks = new Blocks(widths)
  }

  push(value: number): void {
    this.#last[this.#count++] = value
    if (this.#count === collected) this.#store()
  }

  /** Adds many. */
  append(values: Float64Array): void {
    for (let first = 0; first < values.length; ) {
      const part = values.subarray(first, first + collected - this.#count)
      this.#last.set(part, this.#count)
      this.#count += part.length
      first += part.length
      if (this.#count === collected) this.#store()
    }
  }

  get length(): number {
    return this.#blocks.length + this.#count
  }

  at(place: number): number {
    this.#store()
    return this.#blocks.at(place)
  }

  /** Fills an array with as many numbers, from `first` on. */
  copyTo<T extends Parameters<Blocks['copyTo']>[0]>(target: T, first: number): T {
    this.#store()
    return this.#blocks.copyTo(target, first)
  }

  #store(): void {
    if (this.#count === 0) return
    this.#blocks.append(this.#last.subarray(0, this.#count))
    this.#count = 0
  }
}

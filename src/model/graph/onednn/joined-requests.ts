import type { Call, Frame } from '../rows/program.ts'
import type { Operand } from './operand.ts'
import type { Tiling } from './tiling.ts'

/**
 * The cost of a call beside its rows, in rows: 35 µs and 0.57 µs a row, of a product [rows, 256] · [256, 2048] on AMX.
 */
const callCost = 35

/** A context costs as much as these rows of a product: its weights are written. */
const contextCost = 3

/**
 * With fewer, the weights would be written too often. Where columns are not filled up to large blocks, there are fewer.
 */
const fewestPairs = 4

/** 1 and 1. */
const chosen = 0x3f803f80

/**
 * The requests of a call, as columns name them by which the x of a product is filled up to a whole block: each request
 * has a pair of them. Requests that are more than pairs are computed in groups.
 */
export class JoinedRequests {
  /** Requests of a group; 0 where x has no columns left. */
  readonly pairs: number
  /** The first column. */
  readonly first: number
  /** Whether the current call joins requests. */
  isActive = false
  readonly #x: Operand
  readonly #tiling: Tiling
  /** The pair of columns of each row that names a request. */
  #pairs = new Uint8Array(0)
  #marked = 0

  /** `k`: columns of x that hold numbers. */
  constructor(x: Operand, k: number, tiling: Tiling) {
    this.#x = x
    this.#tiling = tiling
    this.first = Math.ceil(k / 2) * 2
    const pairs = (x.columns - this.first) / 2
    this.pairs = pairs < fewestPairs ? 0 : pairs
  }

  /** Decides how a call computes its requests, and writes their columns of x. */
  mark({ integers, at }: Frame, { rows, requests, starts }: Call): void {
    this.isActive = this.pairs > 0 && requests > 1 && this.#pays(starts, requests)
    const { buffer, stride } = this.#x
    const [first, width] = [at[buffer]! / 4 + this.first / 2, stride / 2]
    for (let row = 0; row < this.#marked; row++) integers[first + row * width + this.#pairs[row]!] = 0
    this.#marked = this.isActive ? rows : 0
    if (!this.isActive) return
    if (this.#pairs.length < rows) this.#pairs = new Uint8Array(2 * rows)
    for (let request = 0; request < requests; request++) {
      const pair = request % this.pairs
      for (let row = starts[request]!; row < starts[request + 1]!; row++) {
        integers[first + row * width + pair] = chosen
        this.#pairs[row] = pair
      }
    }
  }

  #pays(starts: Int32Array, requests: number): boolean {
    let [apart, together] = [0, 0]
    for (let request = 0; request < requests; request++) {
      apart += this.#costOf(starts[request + 1]! - starts[request]!)
      if (request % this.pairs === 0) {
        const last = Math.min(request + this.pairs, requests)
        together += this.#costOf(starts[last]! - starts[request]!) + contextCost * (last - request)
      }
    }
    return together < apart
  }

  /** The cost of a product of these rows, in rows. */
  #costOf(count: number): number {
    let cost = 0
    this.#tiling.inChunks(0, count, (_, index) => {
      cost += callCost + this.#tiling.rowClasses[index]!
    })
    return cost
  }
}

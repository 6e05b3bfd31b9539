import type { EncodedRequest, Layout } from '../features/layout.ts'

/** A request's rows as tensors, by which a version is warmed. */
export type WarmUpRows = Pick<EncodedRequest, 'rows' | 'sparse' | 'dense'>

/** Requests whose rows are kept, and most bytes of these. */
const mostRequests = 64
const mostBytes = 1 << 20

/** Least time between two requests that are kept, ms: copying their rows costs less than a thousandth of it. */
const spacing = 10

/** Copies of the encoded rows of the last requests, for the version that takes the place of this one. */
export class RecentRows {
  #kept: WarmUpRows[] = []
  #bytes = 0
  #next = Number.NEGATIVE_INFINITY

  /** Keeps the rows of a request unless others were kept just before; `now` in ms. */
  keep({ rows, sparse, dense }: WarmUpRows, { sparse: ids, dense: numbers }: Layout, now: number): void {
    if (now < this.#next) return
    const bytes = rows * (ids.length + numbers.length) * 4
    if (bytes > mostBytes) return
    this.#next = now + spacing
    this.#bytes += bytes
    this.#kept.push({
      rows,
      sparse: sparse.slice(0, rows * ids.length),
      dense: dense.slice(0, rows * numbers.length),
    })
    while (this.#kept.length > mostRequests || this.#bytes > mostBytes) {
      const oldest = this.#kept.shift()!
      this.#bytes -= oldest.sparse.byteLength + oldest.dense.byteLength
    }
  }

  /** Oldest first. */
  get list(): readonly WarmUpRows[] {
    return this.#kept
  }
}

/** Those of the rows whose columns another layout has, with ids that its tables hold. */
export function fitting(requests: readonly WarmUpRows[], { sparse, dense }: Layout): WarmUpRows[] {
  return requests.filter(
    (request) =>
      request.sparse.length === request.rows * sparse.length &&
      request.dense.length === request.rows * dense.length &&
      request.sparse.every((id, i) => id <= sparse[i % sparse.length]!.largest),
  )
}

/** Whose request it is: tenants take turns in a model's queue, and their shares of what they use together are limited. */
export interface Tenant {
  /** The id of the key that the request came with. */
  id: string
  /** Largest share of the queue, 0 to 1: of its rows, and of the time that a request may wait. */
  queueShare: number
  /** Largest share of the candidate cache, 0 to 1. */
  cacheShare: number
}

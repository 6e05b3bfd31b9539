import { DeadlineQueue, type QueuedSlice } from './queue.ts'

export interface TenantSlice extends QueuedSlice {
  /** Id of the tenant whose request it is; undefined where there is only one tenant. */
  tenant: string | undefined
}

/** The queued slices of one tenant. */
interface TenantQueue<S> {
  queue: DeadlineQueue<S & TenantSlice>
  /** Rows taken, plus the virtual time at which it became active. */
  used: number
}

interface Queued {
  /** Rows of live slices. */
  rows: number
  /** Live slices. */
  slices: number
}

/**
 * The queue of a model: tenants take turns, each row counts (start-time fair queueing), and of a tenant the earliest
 * deadline is first. A tenant that floods the model delays the others by as much as they ask for themselves.
 */
export class FairQueue<S extends TenantSlice> {
  readonly #queues = new Map<string | undefined, TenantQueue<S>>()
  /** Those with live slices. */
  readonly #active = new Set<TenantQueue<S>>()
  /** `used` of the tenant that was served last. A tenant that was idle continues from there, without credit. */
  #virtualTime = 0
  #rows = 0
  #slices = 0

  /** Rows of live slices, of all tenants. */
  get rows(): number {
    return this.#rows
  }

  /** Live slices of all tenants. */
  get slices(): number {
    return this.#slices
  }

  /** The queued slices of a tenant. */
  of(tenant: string | undefined): Queued {
    return this.#queues.get(tenant)?.queue ?? { rows: 0, slices: 0 }
  }

  /**
   * The rows and slices that go before a new request of the tenant: its own, and of each other tenant at most as many
   * rows as are its own.
   */
  ahead(tenant: string | undefined, rows: number): Queued {
    const own = this.#queues.get(tenant)
    const before = { rows: own?.queue.rows ?? 0, slices: own?.queue.slices ?? 0 }
    if (before.rows === this.#rows) return before
    const turn = before.rows + rows
    for (const other of this.#active) {
      if (other === own) continue
      const share = Math.min(1, turn / other.queue.rows)
      before.rows += share * other.queue.rows
      before.slices += Math.ceil(share * other.queue.slices)
    }
    return before
  }

  /** The next live slice; drops settled ones before it. */
  peek(): S | undefined {
    return this.#next()?.queue.peek()
  }

  push(slice: S): void {
    const own = this.#queueOf(slice.tenant)
    if (own.queue.slices === 0) {
      own.used = Math.max(own.used, this.#virtualTime)
      this.#active.add(own)
    }
    own.queue.push(slice)
    this.#rows += slice.count
    this.#slices++
  }

  /** Takes at most `count` rows of the next live slice; its other rows stay first of its tenant's. */
  shiftRows(count: number): S | undefined {
    const next = this.#next()
    if (next === undefined) return undefined
    const slices = next.queue.slices
    const taken = next.queue.shiftRows(count)!
    this.#virtualTime = next.used
    next.used += taken.count
    this.#changed(next, slices - next.queue.slices, taken.count)
    return taken
  }

  /** Stops counting `slices` queued slices, `rows` rows in all, of a request of the tenant that has been settled. */
  forget(tenant: string | undefined, slices: number, rows: number): void {
    const own = this.#queues.get(tenant)!
    own.queue.forget(slices, rows)
    this.#changed(own, slices, rows)
  }

  #next(): TenantQueue<S> | undefined {
    let next: TenantQueue<S> | undefined
    for (const tenant of this.#active) if (next === undefined || tenant.used < next.used) next = tenant
    return next
  }

  #queueOf(tenant: string | undefined): TenantQueue<S> {
    let own = this.#queues.get(tenant)
    if (own === undefined) {
      own = { queue: new DeadlineQueue(), used: this.#virtualTime }
      this.#queues.set(tenant, own)
    }
    return own
  }

  #changed(own: TenantQueue<S>, slices: number, rows: number): void {
    this.#rows -= rows
    this.#slices -= slices
    if (own.queue.slices === 0) this.#active.delete(own)
  }
}

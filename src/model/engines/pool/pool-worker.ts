import type { CallListener } from '../../contracts/engine.ts'
import type { WorkerClient } from './worker-client.ts'

/** A worker of a pool. */
export interface PoolWorker {
  client: WorkerClient
  /** Graphs that this worker has loaded. */
  graphs: Set<number>
  /** Graphs that it is asked to load: until then it computes nothing. */
  loading: number
  runs: RunQueue
}

export function createPoolWorker(client: WorkerClient): PoolWorker {
  return { client, graphs: new Set(), loading: 0, runs: new RunQueue() }
}

/**
 * The least busy worker that has the graph; of two that are as busy, the one that turned to its call first. Counts
 * calls immediately, so that two in a row go to two workers.
 */
export function leastBusy(members: Iterable<PoolWorker>, graph: number): PoolWorker | undefined {
  let best: PoolWorker | undefined
  for (const member of members) {
    if (member.graphs.has(graph) && (best === undefined || isLessBusy(member, best))) best = member
  }
  return best
}

function isLessBusy(a: PoolWorker, b: PoolWorker): boolean {
  if (a.loading !== b.loading) return a.loading < b.loading
  return a.client.pending === b.client.pending ? a.runs.turned < b.runs.turned : a.client.pending < b.client.pending
}

/** A call that was handed to a worker. */
export interface Run {
  graph: number
  begun: boolean
  listener: CallListener | undefined
}

/** The calls that a worker was asked to run, in order: it computes the first, and answers it before the others. */
export class RunQueue {
  readonly #runs: Run[] = []
  /** When the worker turned to the first of them, ms. */
  turned = 0

  add(run: Run): void {
    this.#runs.push(run)
    if (this.#runs.length === 1) this.#turn(run)
  }

  /** The call that the worker computes. */
  get current(): Run | undefined {
    return this.#runs[0]
  }

  /** The first has been answered. */
  shift(): void {
    this.#runs.shift()
    const [next] = this.#runs
    if (next !== undefined) this.#turn(next)
  }

  #turn(run: Run): void {
    this.turned = performance.now()
    run.begun = true
    run.listener?.begun?.()
  }
}

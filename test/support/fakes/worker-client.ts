import type { GraphSource, Outputs, Signature } from '../../../src/model/contracts/engine.ts'
import type { Overlay } from '../../../src/model/contracts/live-tables.ts'
import type { Computed, WorkerNotice, WorkerTask } from '../../../src/model/engines/pool/protocol.ts'
import { type WorkerClient, WorkerLostError } from '../../../src/model/engines/pool/worker-client.ts'

export const fakeSignature: Signature = {
  inputs: [{ name: 'dense', dtype: 'float32', width: 1 }],
  outputs: [{ name: 'sum', width: 1 }],
}

export interface FakeWorker extends WorkerClient {
  /** Tasks that were asked for, in order. */
  tasks: WorkerTask[]
  /** All that it was asked and told, in order. */
  heard: (WorkerTask | WorkerNotice)[]
  /** Ends the thread, as a crash would. */
  die(reason: string): void
  /** Answers the oldest unanswered call to run. */
  finish(outputs: Outputs): void
}

export interface FakeWorkerBehaviour {
  start?(): Promise<unknown>
  load?(source: GraphSource): Promise<unknown>
  overlay?(overlay: Overlay): Promise<void>
}

/** A worker thread that answers `start`, `load` and `unload` at once, and `run` when the test says so. */
export function createFakeWorker(behaviour: FakeWorkerBehaviour = {}): FakeWorker {
  const tasks: WorkerTask[] = []
  const heard: (WorkerTask | WorkerNotice)[] = []
  const runs: { resolve(value: unknown): void; reject(error: unknown): void }[] = []
  let dead: string | undefined
  let end: (reason: string) => void = () => undefined
  const ended = new Promise<string>((resolve) => {
    end = resolve
  })
  const die = (reason: string) => {
    dead = reason
    for (const run of runs.splice(0)) run.reject(new WorkerLostError(reason))
    end(reason)
  }
  return {
    tasks,
    heard,
    ended,
    get pending() {
      return runs.length
    },
    async call(task) {
      if (dead !== undefined) throw new WorkerLostError(dead)
      tasks.push(task)
      heard.push(task)
      if (task.type === 'start') return behaviour.start ? behaviour.start() : 'fake'
      if (task.type === 'load') return behaviour.load ? behaviour.load(task.source) : fakeSignature
      if (task.type === 'overlay') return behaviour.overlay?.(task.overlay)
      if (task.type === 'unload') return undefined
      return new Promise((resolve, reject) => runs.push({ resolve, reject }))
    },
    notify: (notice) => {
      heard.push(notice)
    },
    async stop() {
      die('stopped')
    },
    die,
    finish: (outputs) => runs.shift()?.resolve({ outputs, seconds: 0 } satisfies Computed),
  }
}

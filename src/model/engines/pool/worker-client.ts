import { Worker } from 'node:worker_threads'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { sendNoUsageData, threadOptions } from '../../../base/process.ts'
import {
  unpackError,
  type WorkerNotice,
  type WorkerReply,
  type WorkerRequest,
  type WorkerSettings,
  type WorkerTask,
} from './protocol.ts'

/**
 * How often a version is loaded again whose thread died meanwhile. The cause may have been another model's call; or it
 * is the version, which would take other models' calls with each thread.
 */
const loadsAfterDeath = 3

/** A worker thread died while it computed. Trying the same rows on another could kill that too. */
export class WorkerLostError extends ModelError {
  constructor(reason: string) {
    super('MODEL_FAILED', `The engine's worker thread died while it computed this request: ${reason}`, {
      transient: true,
      mostRetries: loadsAfterDeath,
    })
  }
}

/** A worker thread as an object: each `call` is answered, or rejected when the thread dies. */
export interface WorkerClient {
  /** Calls sent and not answered. */
  readonly pending: number
  call(task: WorkerTask): Promise<unknown>
  /** Sends a notice, which is not answered. */
  notify(notice: WorkerNotice): void
  /** Resolves with the reason when the thread has ended, however that came. */
  readonly ended: Promise<string>
  /** Ends the thread once it has answered what it was asked, or by force if it doesn't soon. Idempotent. */
  stop(): Promise<void>
}

/**
 * Longest time for a thread to finish before it is ended by force, ms. Force in the middle of a native call can abort
 * the whole process: it is for threads that hang.
 */
const longestFarewell = 5000

/** `script` is what the thread runs; replaceable in tests. */
export function createWorkerClient(
  settings: WorkerSettings,
  script = new URL('./worker.js', import.meta.url),
): WorkerClient {
  sendNoUsageData()
  const worker = new Worker(script, { ...threadOptions(), workerData: settings })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  let nextId = 0
  let reason: string | undefined

  worker.on('message', (reply: WorkerReply) => {
    const call = waiting.get(reply.id)
    waiting.delete(reply.id)
    if ('error' in reply) call?.reject(unpackError(reply.error))
    else call?.resolve(reply.value)
  })
  worker.on('error', (error) => {
    reason = reasonOf(error)
  })
  const ended = new Promise<string>((resolve) => {
    worker.once('exit', (code) => {
      reason ??= `exit code ${code}`
      for (const call of waiting.values()) call.reject(new WorkerLostError(reason))
      waiting.clear()
      resolve(reason)
    })
  })
  return {
    get pending() {
      return waiting.size
    },
    ended,
    call(task) {
      if (reason !== undefined) return Promise.reject(new WorkerLostError(reason))
      const id = nextId++
      return new Promise((resolve, reject) => {
        // Throws where the task can't be copied: then it doesn't count as pending.
        worker.postMessage({ ...task, id })
        waiting.set(id, { resolve, reject })
      })
    },
    notify(notice) {
      worker.postMessage(notice)
    },
    async stop() {
      const force = setTimeout(() => worker.terminate(), longestFarewell)
      worker.postMessage({ type: 'stop', id: nextId++ } satisfies WorkerRequest)
      await ended
      clearTimeout(force)
    },
  }
}

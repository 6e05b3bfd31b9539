import { Worker } from 'node:worker_threads'
import { reasonOf } from '../../base/errors.ts'
import { threadOptions } from '../../base/process.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { TableHandle } from '../../model/serving/tables/table-handles.ts'
import type { WriterData } from './log-writer.ts'
import { createWriterState, type WriterRequest, type WriterSettings, type WriterState } from './messages.ts'
import { createPredictionLog, loggedVersion, type PredictionLog, type PredictionLogOptions } from './prediction-log.ts'
import { createRing, RingWriter } from './ring.ts'

export interface OpenLogOptions extends Pick<PredictionLogOptions, 'rates' | 'slowMs'> {
  settings: WriterSettings
  /** The script of the thread. */
  script: URL
  /** Bytes of requests that wait to be written. */
  ringBytes: number
  /** The log can't be written from now on, or can be again (undefined). */
  onProblem(problem: string | undefined): void
  /** The log has begun, or files have been finished. */
  onFinished?(): void
  /** A record could not be made, for another reason than the last one. */
  onUnreadable(reason: string): void
}

export interface OpenLog {
  log: PredictionLog
  /** Counts of what was written, over all threads that wrote. */
  written(): WriterState
  /** Writes what waits. Idempotent. */
  close(): Promise<void>
}

/** Heap of the thread, MiB: bodies are no larger than a quarter of the ring, and JSON takes many times its text. */
const heapMiB = 512
/** How soon another thread takes the place of one that died, ms. */
const restartDelay = 1000
/** Longest wait for the last records at the end, ms. */
const longestClose = 5000

/** Starts the thread that writes the prediction log. */
export function openLog(given: OpenLogOptions): OpenLog {
  const { settings, script, ringBytes, onProblem, onFinished, onUnreadable, ...options } = given
  const memory = createRing(ringBytes)
  const total = createWriterState()
  let current: WriterState = total
  const versions = new Introductions<LoadedModel>(
    (number, version) => ({ type: 'version', number, version: loggedVersion(version) }),
    (number) => ({ type: 'forget', number }),
    post,
  )
  const tables = new Introductions<TableHandle>(
    (number, table) => ({ type: 'table', number, table }),
    (number) => ({ type: 'forget_table', number }),
    post,
  )
  let closing = false
  let ended: () => void = () => undefined
  const whenEnded = new Promise<void>((resolve) => {
    ended = resolve
  })
  let worker = start()

  function start(): Worker {
    const workerData: WriterData = { settings, ring: memory }
    const resourceLimits = { maxOldGenerationSizeMb: heapMiB }
    const started = new Worker(script, { ...threadOptions(), workerData, resourceLimits })
    started.unref()
    let death: string | undefined
    let finished = -1
    started.on('message', (state: WriterState) => {
      const { problem, unreadable } = current
      current = sum(total, state)
      if (state.finished !== finished) onFinished?.()
      finished = state.finished
      if (current.problem !== problem) onProblem(current.problem)
      if (current.unreadable !== undefined && current.unreadable !== unreadable) onUnreadable(current.unreadable)
    })
    started.on('error', (error) => {
      death = reasonOf(error)
    })
    started.on('exit', (code) => {
      if (closing) {
        ended()
        return
      }
      Object.assign(total, current, { problem: `the thread that writes it ended: ${death ?? `exit code ${code}`}` })
      current = { ...total }
      onProblem(current.problem)
      setTimeout(() => {
        if (!closing) worker = start()
      }, restartDelay).unref()
    })
    // Entries that wait, and those of requests that came since the last one ended, name them.
    for (const request of [...versions.all(), ...tables.all()]) started.postMessage(request)
    return started
  }

  function post(request: WriterRequest): void {
    worker.postMessage(request)
  }
  const log = createPredictionLog({
    now: Date.now,
    ...options,
    ring: new RingWriter(memory),
    introduce: (version) => versions.numberOf(version),
    introduceTable: (table) => tables.numberOf(table),
  })
  return {
    log,
    written: () => current,
    async close() {
      if (!closing) {
        closing = true
        worker.ref()
        post({ type: 'close' })
        const timer = setTimeout(() => {
          worker.terminate()
          ended()
        }, longestClose)
        whenEnded.then(() => clearTimeout(timer))
      }
      await whenEnded
    },
  }
}

/** Things that entries name by a number, which the thread receives before the first entry. */
class Introductions<T extends object> {
  readonly #introduce: (number: number, thing: T) => WriterRequest
  readonly #post: (request: WriterRequest) => void
  readonly #numbers = new WeakMap<T, number>()
  readonly #things = new Map<number, WeakRef<T>>()
  readonly #gone: FinalizationRegistry<number>
  #next = 0

  constructor(
    introduce: (number: number, thing: T) => WriterRequest,
    forget: (number: number) => WriterRequest,
    post: (request: WriterRequest) => void,
  ) {
    this.#introduce = introduce
    this.#post = post
    // Long after its last request has been written.
    this.#gone = new FinalizationRegistry((number) => {
      this.#things.delete(number)
      post(forget(number))
    })
  }

  numberOf(thing: T): number {
    let number = this.#numbers.get(thing)
    if (number === undefined) {
      number = this.#next++
      this.#numbers.set(thing, number)
      this.#gone.register(thing, number)
      this.#things.set(number, new WeakRef(thing))
      this.#post(this.#introduce(number, thing))
    }
    return number
  }

  /** Introduces all of them to another thread. */
  *all(): Generator<WriterRequest> {
    for (const [number, reference] of this.#things) {
      const thing = reference.deref()
      if (thing) yield this.#introduce(number, thing)
    }
  }
}

function sum(before: WriterState, { records, bytes, dropped, ...now }: WriterState): WriterState {
  return {
    records: before.records + records,
    bytes: before.bytes + bytes,
    dropped: {
      disk: before.dropped.disk + dropped.disk,
      unreadable: before.dropped.unreadable + dropped.unreadable,
    },
    ...now,
  }
}

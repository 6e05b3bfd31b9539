import { setImmediate as turn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { threadOptions } from '../../base/process.ts'
import type { Encoder, EncoderSource } from '../../model/serving/features/encoder.ts'
import { vocabularyChunk } from '../../model/serving/features/vocabulary.ts'
import type { QueryRows } from '../../model/serving/prediction/query-rows.ts'
import type { PendingBytes } from '../overload/pending-bytes.ts'
import type { BodyBytes, BodyFormat, RequestModel } from './body-format.ts'
import { boundsOf } from './read-json.ts'
import { type Failure, placesOf, type ReaderAnswer, type ReaderRequest, type ReadOptions } from './reader-messages.ts'

/**
 * Reads large bodies in a thread of its own: to parse and to encode them would keep the event loop, and all other
 * clients, waiting. The thread is started with the first such body, and reads one after the other.
 */
export interface LargeBodyReader {
  /**
   * Parses a body, once those before it have been encoded or closed. Rejects as the format throws; QUEUE_FULL where it
   * has to make room for others, MODEL_FAILED where the thread dies.
   */
  open<Asked>(format: BodyFormat<Asked>, body: BodyBytes): Promise<LargeBody<Asked>>
  /** Ends the thread. Idempotent. */
  close(): Promise<void>
}

/** A body that the thread holds: no other is read until it has been encoded or closed. */
export interface LargeBody<Asked> {
  asked: Asked
  /** Encodes its rows for a model. Rejects as encoding throws; MODEL_FAILED where the thread dies. */
  encode(model: RequestModel, options: ReadOptions): Promise<QueryRows>
  /** Gives it up. Idempotent. */
  close(): void
}

export interface LargeBodyReaderOptions {
  /** Counts bodies that wait, or are read. */
  bodies: PendingBytes
  /** Largest body, bytes. */
  maxBodyBytes: number
  /** Most rows of a request. */
  maxRows: number
  /** The script that the thread runs. */
  script: URL
}

/** Models whose vocabularies the thread keeps. */
const mostModels = 4

/** Heap of the thread, MiB: a base, and 48 times the largest body, since JSON takes many times its text as objects. */
const heapMiB = (maxBodyBytes: number) => 256 + Math.ceil((48 * maxBodyBytes) / 2 ** 20)

export function createLargeBodyReader(options: LargeBodyReaderOptions): LargeBodyReader {
  const { bodies, maxBodyBytes, maxRows, script } = options
  const bounds = boundsOf(maxRows)
  let thread: ReaderThread | undefined
  let last: Promise<unknown> = Promise.resolve()

  function running(): ReaderThread {
    if (thread === undefined || thread.ended) thread = startThread(script, heapMiB(maxBodyBytes))
    return thread
  }

  async function encode(reader: ReaderThread, model: RequestModel, options: ReadOptions): Promise<QueryRows> {
    const answer = await reader.call({ type: 'encode', model: await reader.introduce(model), options })
    const { encoded, places, ...counts } = answer as Extract<ReaderAnswer, { type: 'encoded' }>
    return { form: 'encoded', encoded: { ...encoded, placeOf: placesOf(places) }, ...counts }
  }

  return {
    async open<Asked>(format: BodyFormat<Asked>, { bytes, headerLength }: BodyBytes): Promise<LargeBody<Asked>> {
      let givenUp: ModelError | undefined
      const holder = bodies.open(() => {
        givenUp = new ModelError('QUEUE_FULL', 'Too many bytes of large bodies are waiting to be read', {
          retryAfterSeconds: 1,
        })
      })
      holder.add(bytes.length)
      const before = last
      let close: () => void = holder.close
      last = new Promise<void>((resolve) => {
        close = () => {
          holder.close()
          resolve()
        }
      })
      await before
      try {
        if (givenUp) throw givenUp
        const reader = running()
        const request = { type: 'open', format: format.name, bytes: whole(bytes), headerLength, bounds } as const
        const { asked } = (await reader.call(request)) as Extract<ReaderAnswer, { type: 'opened' }>
        return {
          asked: asked as Asked,
          close,
          encode: (model, options) => encode(reader, model, options).finally(close),
        }
      } catch (error) {
        close()
        throw error
      }
    },
    async close() {
      await thread?.end()
    },
  }
}

/** A body's bytes as memory that can be moved to the thread. */
function whole(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes
  const alone = byteOffset === 0 && byteLength === buffer.byteLength
  return new Uint8Array(
    alone ? (buffer as ArrayBuffer) : (buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer),
  )
}

interface ReaderThread {
  readonly ended: boolean
  /** Rejects with what the thread threw, or MODEL_FAILED where it ended. */
  call(request: ReaderRequest): Promise<ReaderAnswer>
  /** Has the thread know a model; answers its number. */
  introduce(model: RequestModel): Promise<number>
  end(): Promise<void>
}

function startThread(script: URL, maxOldGenerationSizeMb: number): ReaderThread {
  const worker = new Worker(script, { ...threadOptions(), resourceLimits: { maxOldGenerationSizeMb } })
  // It keeps the process alive only while a body is read.
  worker.unref()
  let waiting: { resolve(answer: ReaderAnswer): void; reject(error: unknown): void } | undefined
  let death: string | undefined
  const models = new Map<Encoder, number>()
  let next = 0

  function settle(work: (waiter: NonNullable<typeof waiting>) => void): void {
    const waiter = waiting
    waiting = undefined
    worker.unref()
    if (waiter) work(waiter)
  }
  worker.on('message', (answer: ReaderAnswer) =>
    settle(({ resolve, reject }) => (answer.type === 'failed' ? reject(errorOf(answer.failure)) : resolve(answer))),
  )
  worker.on('error', (error) => {
    death = reasonOf(error)
  })
  // An answer may arrive after an error, but never after the exit.
  worker.on('exit', (code) => {
    death ??= `exit code ${code}`
    settle(({ reject }) => reject(lost()))
  })
  const lost = () => new ModelError('MODEL_FAILED', `The thread that reads large bodies ended: ${death}`)

  const post = (request: ReaderRequest, moved: ArrayBuffer[] = []) => worker.postMessage(request, moved)
  return {
    get ended() {
      return death !== undefined
    },
    call(request) {
      return new Promise((resolve, reject) => {
        if (death !== undefined) {
          reject(lost())
          return
        }
        waiting = { resolve, reject }
        worker.ref()
        post(request, request.type === 'open' ? [request.bytes.buffer as ArrayBuffer] : [])
      })
    },
    async introduce({ encoder, tensors, manifestless, limits }) {
      const known = models.get(encoder)
      if (known !== undefined) return known
      const [oldest] = models
      if (oldest !== undefined && models.size === mostModels) {
        models.delete(oldest[0])
        post({ type: 'forget', model: oldest[1] })
      }
      const model = next++
      models.set(encoder, model)
      const { source, vocabularies } = withoutVocabularies(encoder.source)
      post({ type: 'model', model, source, tensors, manifestless, limits })
      for (const [field, values] of vocabularies) {
        for (let start = 0; start < values.length; start += vocabularyChunk) {
          post({ type: 'vocabulary', model, field, values: values.slice(start, start + vocabularyChunk) })
          await turn()
        }
      }
      return model
    },
    async end() {
      await worker.terminate()
    },
  }
}

/**
 * To copy a vocabulary of a million values takes long: they are sent in pieces, between which other clients are served.
 */
function withoutVocabularies(source: EncoderSource): { source: EncoderSource; vocabularies: [number, string[]][] } {
  if ('columns' in source) return { source, vocabularies: [] }
  const vocabularies: [number, string[]][] = []
  const features = source.features.map((field, index) => {
    if (field.kind !== 'vocabulary') return field
    vocabularies.push([index, field.values])
    return { ...field, values: [] }
  })
  return { source: { ...source, features }, vocabularies }
}

function errorOf({ message, code, problems }: Failure): Error {
  return code === undefined ? new Error(message) : new ModelError(code, message, problems ? { problems } : {})
}

import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../../base/clock.ts'
import { type Content, type StoredObject, storeError } from './object-store.ts'

/** The slowest source that is waited for, bytes per second. */
const leastRate = 64 * 1024
/** Longest silence of a source, ms. */
const longestSilence = 60_000

export interface PatienceOptions {
  /** Longest silence, ms; default: a minute. */
  silence?: number | undefined
  clock?: Clock
}

/** Waits for one object of a store or source. */
export interface Patience {
  /** Aborted at the end of patience, and with the signal that it was made of. */
  readonly signal: AbortSignal
  /** Waits until an object is open. Rejects when `signal` is aborted, even where what opens it does not heed that. */
  open<T extends StoredObject | undefined>(opening: Promise<T>): Promise<T>
  /** The chunks of its body. Throws an Error that names the object where it breaks off, or when `signal` is aborted. */
  read(body: Readable): AsyncGenerator<Buffer>
  /** Waits for an answer without a body. Rejects like `open`. */
  answer<T>(work: Promise<T>): Promise<T>
  /**
   * Waits until what `put` does with the content is done: bytes that are taken count like ones that arrive; `onBytes`
   * receives them. Rejects like `open`.
   */
  send<T>(content: Content, put: (content: Content) => Promise<T>, onBytes?: (bytes: number) => void): Promise<T>
}

/**
 * Every object of a source is waited for in this way. The source may keep us waiting for `silence`; each byte gives
 * back its time at the least rate, up to the whole again. Only waiting counts, not the reader's own work in between.
 * `name` names the object in messages.
 */
export function createPatience(
  name: string,
  outer: AbortSignal,
  { silence = longestSilence, clock = systemClock }: PatienceOptions = {},
): Patience {
  const slow = new AbortController()
  const signal = AbortSignal.any([outer, slow.signal])
  const message = `${name} is silent for ${Math.round(silence / 1000)} s, or slower than ${leastRate / 1024} KiB/s`
  const allowance = createAllowance(silence, clock, () => slow.abort(new Error(message)))

  async function wait<T>(work: Promise<T>): Promise<T> {
    allowance.begin()
    let onAbort = () => {}
    // Not one for all waits: it would hold on to what each of them resolved with.
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason)
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([work, aborted])
    } finally {
      allowance.end()
      signal.removeEventListener('abort', onAbort)
    }
  }

  async function answer<T>(work: Promise<T>): Promise<T> {
    try {
      return await wait(work)
    } catch (error) {
      work.catch(() => undefined)
      signal.throwIfAborted()
      throw error
    }
  }

  return {
    signal,
    async open(opening) {
      try {
        return await wait(opening)
      } catch (error) {
        // It may still come.
        opening.then(
          (late) => late?.body.on('error', () => undefined).destroy(),
          () => undefined,
        )
        signal.throwIfAborted()
        throw error
      }
    },
    async *read(body) {
      body.on('error', () => undefined)
      const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
      try {
        for (;;) {
          const { done, value } = await wait(chunks.next())
          if (done) return
          allowance.giveBack(value.length)
          yield value
        }
      } catch (error) {
        signal.throwIfAborted()
        throw storeError(name, error)
      } finally {
        body.destroy()
      }
    },
    answer,
    async send(content, put, onBytes = () => undefined) {
      const bodies: Readable[] = []
      const read = () => {
        const body = counted(content.read(), (bytes) => {
          allowance.giveBack(bytes)
          onBytes(bytes)
        })
        bodies.push(body)
        return body
      }
      try {
        return await answer(put({ ...content, read }))
      } finally {
        for (const body of bodies) body.destroy()
      }
    },
  }
}

/** The chunks of a body, each counted when it is taken. An error of the body is one of what takes it. */
function counted(body: Readable, count: (bytes: number) => void): Readable {
  async function* chunks() {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      count(chunk.length)
      yield chunk
    }
  }
  return Readable.from(chunks(), { objectMode: false }).on('error', () => undefined)
}

/** Time that may be waited in all, beginning with `most` ms; `onEnd` is called when a wait has taken the last of it. */
function createAllowance(most: number, clock: Clock, onEnd: () => void) {
  let left = most
  /** The wait that is under way. */
  let begun: number | undefined
  let cancel = () => {}
  function begin(): void {
    begun = clock.now()
    cancel = clock.after(left, onEnd)
  }
  function end(): void {
    cancel()
    if (begun !== undefined) left -= clock.now() - begun
    begun = undefined
  }
  return {
    begin,
    end,
    /** Adds the time that these bytes may take at the least rate, up to the whole again. */
    giveBack(bytes: number): void {
      const isWaiting = begun !== undefined
      if (isWaiting) end()
      left = Math.min(most, left + (bytes / leastRate) * 1000)
      if (isWaiting) begin()
    },
  }
}

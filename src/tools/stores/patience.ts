import type { Readable } from 'node:stream'
import { type Clock, systemClock } from '../../base/clock.ts'
import { type StoredObject, storeError } from './object-store.ts'

/** The slowest source that is waited for, bytes per second. */
const leastRate = 64 * 1024
/** Longest silence of a source, ms. */
const longestSilence = 60_000

export interface PatienceOptions {
  /** Longest silence, ms; default: a minute. */
  silence?: number | undefined
  clock?: Clock
}

/** Waits for one object of a source. */
export interface Patience {
  /** Aborted at the end of patience, and with the signal that it was made of. */
  readonly signal: AbortSignal
  /** Waits until an object is open. Rejects when `signal` is aborted, even where what opens it does not heed that. */
  open<T extends StoredObject | undefined>(opening: Promise<T>): Promise<T>
  /** The chunks of its body. Throws an Error that names the object where it breaks off, or when `signal` is aborted. */
  read(body: Readable): AsyncGenerator<Buffer>
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
  let left = silence

  async function wait<T>(work: Promise<T>): Promise<T> {
    const begun = clock.now()
    const cancel = clock.after(left, () => slow.abort(new Error(message)))
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
      cancel()
      signal.removeEventListener('abort', onAbort)
      left -= clock.now() - begun
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
          left = Math.min(silence, left + (value.length / leastRate) * 1000)
          yield value
        }
      } catch (error) {
        signal.throwIfAborted()
        throw storeError(name, error)
      } finally {
        body.destroy()
      }
    },
  }
}

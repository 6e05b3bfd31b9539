import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { FastifyRequest } from 'fastify'

/**
 * Decompresses request bodies. A decoder allocates its window, up to 16 MiB, before it emits a byte. So only a few run
 * at a time, each once its body has arrived: a slow client holds no decoder.
 */
export interface Decoders {
  /** Decompresses a body when its turn comes. The answer gives it up; idempotent. */
  decode(coding: Coding, bytes: Buffer, receiver: DecodedReceiver): () => void
}

export interface DecodedReceiver {
  /** The decoder is about to allocate up to this many bytes beside its output; false keeps it from that. */
  start(memory: number): boolean
  data(piece: Buffer): void
  end(): void
  error(error: Error): void
}

/** Supported content codings; `deflate` is the zlib format (RFC 9110). */
const codings = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress } satisfies Record<
  string,
  () => Transform
>
export type Coding = keyof typeof codings

export function isCoding(coding: string): coding is Coding {
  return Object.hasOwn(codings, coding)
}

/** The content coding of a request's body; undefined where it is not encoded. */
export function contentCoding({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const header = headers['content-encoding']
  if (header === undefined) return undefined
  const coding = header.trim().toLowerCase()
  return coding === '' || coding === 'identity' ? undefined : coding
}

/** Decoders run in libuv's thread pool, which has four threads by default. */
const mostDecoders = 4

export function createDecoders(most = mostDecoders): Decoders {
  let running = 0
  const waiting = new Set<() => void>()

  function release(): void {
    running--
    const [next] = waiting
    if (next === undefined) return
    waiting.delete(next)
    next()
  }

  return {
    decode(coding, bytes, receiver) {
      let givenUp = false
      let decoder: Transform | undefined
      const start = () => {
        running++
        if (!receiver.start(decoderMemory(coding, bytes))) {
          release()
          return
        }
        decoder = codings[coding]()
        decoder.on('data', (piece: Buffer) => {
          if (!givenUp) receiver.data(piece)
        })
        decoder.on('end', () => receiver.end())
        decoder.on('error', (error) => receiver.error(error))
        decoder.on('close', release)
        decoder.end(bytes)
      }
      if (running < most) start()
      else waiting.add(start)
      return () => {
        givenUp = true
        waiting.delete(start)
        decoder?.destroy()
      }
    },
  }
}

/** Window and tables of gzip and deflate, bytes; a brotli decoder has tables of this order beside its window. */
const smallDecoder = 1 << 16

/** Bytes that a decoder of this body may allocate. */
export function decoderMemory(coding: Coding, bytes: Buffer): number {
  return coding === 'br' ? smallDecoder + 2 ** brotliWindowBits(bytes[0] ?? 0) : smallDecoder
}

/** The base-2 logarithm of a brotli stream's window, from its first byte (RFC 7932, section 9.1). */
function brotliWindowBits(first: number): number {
  if ((first & 1) === 0) return 16
  const high = (first >> 1) & 7
  if (high !== 0) return 17 + high
  const low = (first >> 4) & 7
  if (low === 0) return 17
  // 1 announces a large window, which this decoder refuses before it allocates one.
  return low === 1 ? 24 : 8 + low
}

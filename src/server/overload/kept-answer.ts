import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type ConnectionMemoryOptions, countUnread } from './connection-memory.ts'

const compress = promisify(gzip)

/** Smallest response that is compressed, bytes. */
const worthwhile = 4096

type Coding = 'br' | 'gzip'

/** The bytes of a response in one coding. */
interface Form {
  bytes: Buffer
  etag: string
}

/**
 * A response that is kept in memory, and shared by all that ask for it: thousands of clients that don't read it hold no
 * file and no copy. It is compressed at most once.
 */
export class KeptAnswer {
  readonly #plain: Form
  readonly #headers: Record<string, string>
  readonly #coded: Partial<Record<Coding, Promise<Form>>> = {}
  readonly #isCompressible: boolean

  /**
   * `type`: its Content-Type; `headers`: others, such as Cache-Control; `coded`: compressed forms that exist already.
   */
  constructor(
    bytes: Buffer,
    type: string,
    headers: Record<string, string> = {},
    coded: Partial<Record<Coding, Buffer>> = {},
  ) {
    this.#plain = formOf(bytes)
    for (const [coding, form] of Object.entries(coded) as [Coding, Buffer][])
      this.#coded[coding] = Promise.resolve(formOf(form))
    const isText = /^(?:text\/|image\/svg|application\/(?:json|javascript|x-yaml))/.test(type)
    this.#isCompressible = Object.keys(coded).length > 0 || (isText && bytes.length >= worthwhile)
    this.#headers = { ...headers, 'content-type': type, ...(this.#isCompressible && { vary: 'accept-encoding' }) }
  }

  async send({ headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const coding = this.#isCompressible ? codingFor(headers['accept-encoding'], this.#coded) : undefined
    const { bytes, etag } = coding === undefined ? this.#plain : await this.#form(coding)
    reply.headers({ ...this.#headers, etag })
    if (matches(headers['if-none-match'], etag)) return reply.code(304).send()
    if (coding !== undefined) reply.header('content-encoding', coding)
    return reply.send(bytes)
  }

  #form(coding: Coding): Promise<Form> {
    let form = this.#coded[coding]
    if (form === undefined) {
      form = compress(this.#plain.bytes).then(formOf)
      this.#coded[coding] = form
      // Such as too little memory: the next to ask tries again.
      form.catch(() => delete this.#coded[coding])
    }
    return form
  }
}

function formOf(bytes: Buffer): Form {
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return { bytes: shareable(bytes), etag }
}

/** The best coding that a client takes: `br` only where that form exists. */
function codingFor(accepts: string | undefined, coded: Partial<Record<Coding, unknown>>): Coding | undefined {
  const accepted = new Set(
    (accepts ?? '')
      .toLowerCase()
      .split(',')
      .filter((item) => !/;\s*q=0(?:\.0*)?\s*$/.test(item))
      .map((item) => item.split(';', 1)[0]!.trim()),
  )
  if (coded.br !== undefined && accepted.has('br')) return 'br'
  return accepted.has('gzip') ? 'gzip' : undefined
}

/** Whether `If-None-Match` names a tag, in the weak comparison that it asks for (RFC 9110, section 13.1.2). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((item) => {
    const tag = item.trim().replace(/^W\//, '')
    return tag === etag || tag === '*'
  })
}

/** Memory that a stream holds, bytes: a compressor above all. */
const streamBytes = 320 * 1024

/** Bytes that many responses share: they are in memory once. */
const shared = new WeakSet<Uint8Array>()

/** Marks bytes that are kept anyway, and sent to every client that asks. */
export function shareable<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  shared.add(bytes)
  return bytes
}

/** Bounds what clients of an application leave unread: what the system does not take of a response in one piece. */
export const unreadAnswers = fastifyPlugin(async (app: FastifyInstance, options: ConnectionMemoryOptions) => {
  app.addHook('onSend', ({ raw: { socket } }, { raw: answer }, payload, done) => {
    if (typeof payload === 'object' && payload !== null && !(payload instanceof Uint8Array)) {
      countUnread(answer, socket, streamBytes, options)
      done()
      return
    }
    const count = () => {
      const left = socket.writableLength
      if (left > 0) countUnread(answer, socket, isShared(payload, 'encrypted' in socket) ? 0 : left, options)
    }
    // Ends the response, unless another hook takes its time.
    done()
    if (answer.writableEnded) count()
    else setImmediate(count)
  })
})

/** `isCopied`: TLS encrypts a copy for each connection. */
function isShared(payload: unknown, isCopied: boolean): boolean {
  return !isCopied && payload instanceof Uint8Array && shared.has(payload)
}

import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { shareable } from './unread-answers.ts'

const compress = promisify(gzip)

/** Smallest response that is compressed, bytes. */
const worthwhile = 4096

type Coding = 'br' | 'gzip'

/**
 * A response that is kept in memory, and shared by all that ask for it: thousands of clients that don't read it hold no file and no
 * copy. It is compressed at most once.
 */
export class KeptAnswer {
  readonly #bytes: Buffer
  readonly #headers: Record<string, string>
  readonly #coded: Partial<Record<Coding, Promise<Buffer>>>

  /** `type`: its Content-Type; `headers`: others, such as Cache-Control; `coded`: compressed forms that exist already. */
  constructor(
    bytes: Buffer,
    type: string,
    headers: Record<string, string> = {},
    coded: Partial<Record<Coding, Buffer>> = {},
  ) {
    this.#bytes = shareable(bytes)
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    this.#headers = { ...headers, 'content-type': type, etag }
    this.#coded = Object.fromEntries(
      Object.entries(coded).map(([coding, form]) => [coding, Promise.resolve(shareable(form))]),
    )
    const isText = /^(?:text\/|image\/svg|application\/(?:json|javascript))/.test(type)
    this.#isCompressible = Object.keys(coded).length > 0 || (isText && bytes.length >= worthwhile)
  }

  readonly #isCompressible: boolean

  async send({ headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    reply.headers(this.#headers)
    if (headers['if-none-match'] === this.#headers.etag) return reply.code(304).send()
    if (!this.#isCompressible) return reply.send(this.#bytes)
    reply.header('vary', 'accept-encoding')
    const coding = this.#codingFor(headers['accept-encoding'])
    if (coding === undefined) return reply.send(this.#bytes)
    this.#coded.gzip ??= compress(this.#bytes).then(shareable)
    return reply.header('content-encoding', coding).send(await this.#coded[coding])
  }

  #codingFor(accepts: string | undefined): Coding | undefined {
    const accepted = new Set(
      (accepts ?? '')
        .toLowerCase()
        .split(',')
        .map((item) => item.trim())
        .filter((item) => !/;\s*q=0(?:\.0*)?$/.test(item))
        .map((item) => item.split(';', 1)[0]!.trim()),
    )
    if (this.#coded.br !== undefined && accepted.has('br')) return 'br'
    return accepted.has('gzip') ? 'gzip' : undefined
  }
}

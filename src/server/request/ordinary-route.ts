import type { IncomingHttpHeaders } from 'node:http'
import type { ServerContext } from './context.ts'
import type { Exchange } from './exchange.ts'

/** A response with status 200. */
export interface WrittenResponse {
  /** Names and values in turn, without those that every response has. */
  headers: string[]
  body: Buffer
}

/** How a protocol answers its ordinary requests: those that ask for nothing but a prediction. */
export interface OrdinaryRoute<Params = never> {
  /** What a path names; undefined where it is not this route's, or is written in another way. */
  match(url: string): Params | undefined
  /** Content types that are read; undefined where a request may have none. */
  types: ReadonlySet<string | undefined>
  /** Whether these headers ask for more. */
  asksMore?(headers: IncomingHttpHeaders): boolean
  /** Problems are answered as `{"error": …}`. */
  problemsAsText: boolean
  /** Rejects with what is wrong with the request. */
  respond(context: ServerContext, exchange: Exchange, params: Params, bytes: Buffer): Promise<WrittenResponse>
}

/** A model's or version's name that needs no decoding. */
export const plainName = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}'

import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { createIndexedSource, type SyncSource } from '../source.ts'

/** A web server; `token`, if there is one, is sent as a bearer token. A user and password in the address are sent, too. */
export function openHttp(address: URL, token: string | undefined): SyncSource {
  const { username, password } = address
  const base = new URL(address)
  base.username = ''
  base.password = ''
  base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  const authorization = username === '' ? token && `Bearer ${token}` : `Basic ${credentials}`
  const name = `${base.origin}${base.pathname}`.replace(/\/$/, '')
  return createIndexedSource(name, async (path, tag, signal) => {
    const url = new URL(base)
    url.pathname += path.split('/').map(encodeURIComponent).join('/')
    return getOverHttp(url, { ...(authorization && { authorization }), ...(tag && { 'if-none-match': tag }) }, signal)
  })
}

/** Reads an object over HTTP; undefined if it has not changed (304). Rejects with an Error that names its address. */
export async function getOverHttp(url: URL, headers: Record<string, string>, signal: AbortSignal) {
  const answer = await fetchChecked(url, headers, signal)
  if (answer.status === 304) return undefined
  return { body: bodyOf(answer), tag: answer.headers.get('etag') ?? undefined }
}

/** An answer of status 2xx, 304, or one of `expected`. Rejects with an Error that names the address, without its query. */
export async function fetchChecked(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
  expected: readonly number[] = [],
): Promise<Response> {
  const name = `${url.origin}${url.pathname}`
  let answer: Response
  try {
    answer = await fetch(url, { headers: { 'accept-encoding': 'identity', ...headers }, signal })
  } catch (error) {
    signal.throwIfAborted()
    const { cause } = error as Error
    const { code, message } = (cause ?? error) as NodeJS.ErrnoException
    throw new Error(`${name}: ${message || code}`, { cause: error })
  }
  if (answer.ok || answer.status === 304 || expected.includes(answer.status)) return answer
  await answer.body?.cancel()
  throw new Error(`${name}: HTTP ${answer.status} ${answer.statusText}`.trimEnd())
}

/** The body as a stream of Node. */
export function bodyOf({ body }: Response): Readable {
  return body === null ? Readable.from([]) : Readable.fromWeb(body as ReadableStream)
}

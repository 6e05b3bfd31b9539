import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { splitCredentials } from '../../base/address-credentials.ts'
import { type StoredObject, storeError } from './object-store.ts'

/*
 * The HTTP requests of all stores and sources but Amazon's, whose library sends its own.
 */

const redirections = [301, 302, 303, 307, 308]
const mostRedirects = 5

/** Opens an object over HTTP; undefined if it has not changed (304). Rejects with an Error that names its address. */
export async function getOverHttp(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  const answer = await fetchChecked(url, headers, signal)
  if (answer.status === 304) return undefined
  return { body: bodyOf(answer), tag: answer.headers.get('etag') ?? undefined }
}

/**
 * An answer of status 200, of 304 to a request with `if-none-match`, or of one of `expected` by the server of `url`
 * itself. User and password of `url` are sent as a header. Follows a few redirects, but not from https to http, and
 * sends `authorization` to no other server. Rejects with an Error that names the address, without its query.
 */
export async function fetchChecked(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
  expected: readonly number[] = [],
): Promise<Response> {
  const { url: first, authorization } = splitCredentials(url)
  const name = nameOf(first)
  let at = first
  let sent: Record<string, string> = {
    'accept-encoding': 'identity',
    ...(authorization && { authorization }),
    ...headers,
  }
  for (let redirects = 0; ; redirects++) {
    const answer = await ask(name, at, sent, signal)
    const { status, statusText } = answer
    if (status === 200 || (status === 304 && sent['if-none-match'] !== undefined)) return answer
    if (expected.includes(status) && at.origin === first.origin) return answer
    const location = redirections.includes(status) ? answer.headers.get('location') : null
    await answer.body?.cancel()
    if (location === null) throw storeError(name, new Error(`HTTP ${status} ${statusText}`.trimEnd()), status)
    if (redirects === mostRedirects) throw new Error(`${name} redirects more than ${mostRedirects} times`)
    const next = redirected(name, at, location)
    if (next.origin !== first.origin) {
      const { authorization: _, ...others } = sent
      sent = others
    }
    at = next
  }
}

async function ask(
  name: string,
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
  more: RequestInit = {},
): Promise<Response> {
  let checked: Headers
  try {
    checked = new Headers(headers)
  } catch {
    // Its message has the header.
    throw new Error(`${name}: the token or password has characters that no header can have`)
  }
  try {
    return await fetch(url, { ...more, headers: checked, signal, redirect: 'manual' })
  } catch (error) {
    signal.throwIfAborted()
    throw storeError(name, error)
  }
}

export interface Sending {
  /** The object, as messages name it. */
  name: string
  method: string
  headers: Record<string, string>
  body: string | Readable
  signal: AbortSignal
  /** Statuses of answers, besides 200 and 201, that are no fault. */
  expected: readonly number[]
}

/**
 * Sends a body and answers with status and headers. Follows no redirect. Rejects with an Error that begins with `name`.
 */
export async function sendOverHttp(
  url: URL,
  { name, method, headers, body, signal, expected }: Sending,
): Promise<Pick<Response, 'status' | 'headers'>> {
  const answer = await ask(name, url, headers, signal, {
    method,
    body: body as RequestInit['body'] & {},
    duplex: 'half',
  })
  await answer.body?.cancel()
  const { status, statusText } = answer
  if (status !== 200 && status !== 201 && !expected.includes(status))
    throw storeError(name, new Error(`HTTP ${status} ${statusText}`.trimEnd()), status)
  return answer
}

function redirected(name: string, from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) throw new Error(`${name} redirects to no URL`)
  const { url } = splitCredentials(new URL(location, from))
  const followed = from.protocol === 'https:' ? ['https:'] : ['http:', 'https:']
  if (!followed.includes(url.protocol))
    throw new Error(`${name} redirects to ${nameOf(url)}; only ${followed.join('// or ')}// is followed from there`)
  return url
}

const nameOf = ({ protocol, host, pathname }: URL) => `${protocol}//${host}${pathname}`.slice(0, 500)

/** The body as a stream of Node. */
export function bodyOf({ body }: Response): Readable {
  return body === null ? Readable.from([]) : Readable.fromWeb(body as ReadableStream)
}

import { setTimeout as sleep } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import type { Static } from 'typebox'
import Type from 'typebox'
import { excerptOf, hideCredentials, splitCredentials } from '../../base/address-credentials.ts'
import { reasonOf } from '../../base/errors.ts'
import { check } from '../../schemas/check.ts'
import { isObject } from '../../schemas/json.ts'
import { LiveModel, LiveProcess, LiveSample } from '../../schemas/live-figures.ts'
import type { ProblemItem } from '../../schemas/problem.ts'

/**
 * News of a running service, or the reason why nothing is known of it now: the service does not answer, and is asked
 * again; or it sent figures that can't be read, and may send others.
 */
export type LiveEvent = { update: ShownUpdate } | { lost: string } | { unreadable: string }

export interface FollowOptions {
  /** Where the service is, e.g. `http://127.0.0.1:3000`. A user and password in it are sent, unless there is a key. */
  url: string
  /** An API key. */
  key: string | undefined
  /** Ends it. */
  signal: AbortSignal
  /** Waits before the next try; default: the time itself. */
  pause?(ms: number, signal: AbortSignal): Promise<unknown>
}

/** Without an event for this long the stream is dead, ms: the server sends one each second. */
const longestSilence = 6000

/** Waits between two tries, ms. */
const firstPause = 500
const longestPause = 5000

/**
 * Follows `GET /console/live` until `signal` ends it, through restarts of the service. Throws an Error that says what
 * to do where the service refuses.
 */
export async function* followLive(options: FollowOptions): AsyncGenerator<LiveEvent> {
  const { signal, pause = (ms) => sleep(ms, undefined, { signal }) } = options
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const event of readStream(options)) {
        failures = 0
        yield event
      }
      if (!signal.aborted) yield { lost: 'the service has closed the stream' }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof RefusedError) throw error
      // `fetch failed` says nothing; what it failed of does.
      const cause = (error as Error).cause ?? error
      if ((cause as NodeJS.ErrnoException).code?.startsWith('HPE_'))
        throw new RefusedError(`${hideCredentials(options.url)} is no multigate server: its answers are not HTTP`)
      yield { lost: reasonOf(cause) }
    }
    await pause(Math.min(firstPause * 2 ** failures, longestPause), signal).catch(() => undefined)
  }
}

/** Bytes without a sample that are too many: a history has about one megabyte. */
const mostUnread = 16 * 2 ** 20

/** The service does not show its figures; another try would not help. */
class RefusedError extends Error {}

async function* readStream({ url, key, signal }: FollowOptions): AsyncGenerator<LiveEvent> {
  const silence = new AbortController()
  const onSilence = () => silence.abort(new Error('the service does not answer'))
  let timer = setTimeout(onSilence, longestSilence)
  try {
    const { url: base, authorization } = splitCredentials(new URL(url.endsWith('/') ? url : `${url}/`))
    const address = new URL('console/live', base)
    const response = await fetch(address, {
      signal: AbortSignal.any([signal, silence.signal]),
      headers: headersOf(key === undefined ? authorization : `Bearer ${key}`),
    })
    if (!response.ok || response.body === null) throw await failureOf(response, address)
    if (!response.headers.get('content-type')?.startsWith('text/event-stream'))
      throw new RefusedError(
        `${address} answers, but not with live figures: it is no multigate server, or a proxy answers in its place`,
      )
    const decoder = new TextDecoder()
    const events: LiveEvent[] = []
    const parser = createParser({
      onEvent({ event, data }) {
        if (event === 'sample') events.push(readUpdate(data))
      },
    })
    let unread = 0
    for await (const piece of response.body) {
      const bytes = piece as Uint8Array
      parser.feed(decoder.decode(bytes, { stream: true }))
      unread += bytes.length
      if (unread > mostUnread) throw new Error('the service sends something else than live figures')
      if (events.length === 0) continue
      unread = 0
      clearTimeout(timer)
      timer = setTimeout(onSilence, longestSilence)
      yield* events.splice(0)
    }
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}

function headersOf(authorization: string | undefined): Headers {
  try {
    return new Headers(authorization === undefined ? {} : { authorization })
  } catch {
    // Its message has the key.
    throw new RefusedError('the key has characters that no header can have')
  }
}

async function failureOf(response: Response, address: URL): Promise<Error> {
  const answer: unknown = await response.json().catch(() => undefined)
  const said = isObject(answer) && typeof answer.detail === 'string' ? answer.detail : undefined
  // It moves no cursor.
  const detail = said?.replace(/\p{C}/gu, ' ') ?? `status ${response.status}`
  switch (response.status) {
    case 401:
      return new RefusedError(`${address.origin} asks for a key: --key-file or MULTIGATE_KEY. ${detail}`)
    case 403:
      return new RefusedError(`${address.origin} does not show its figures with this key: ${detail}`)
    case 404:
      return new RefusedError(
        said === undefined
          ? `${address} is not there: ${address.origin} is no multigate server, or not at this path`
          : `${address} is not there: the console is off (MULTIGATE_CONSOLE), or on the administration port (MULTIGATE_ADMIN_PORT)`,
      )
    case 429:
      return new Error(detail)
    default:
      // A multigate server answers this request with no other status from 400 to 499.
      if (response.status < 500) return new RefusedError(`${address.origin} is no multigate server: ${detail}`)
      return new Error(detail)
  }
}

/** The parts of a `sample` event that are shown; others may be of a newer release. */
const Shown = Type.Object({
  fine: Type.Array(LiveSample),
  models: Type.Array(LiveModel),
  processes: Type.Array(LiveProcess),
})
export type ShownUpdate = Static<typeof Shown>

/** Reads the data of a `sample` event, or says why it can't be read. */
export function readUpdate(data: string): { update: ShownUpdate } | { unreadable: string } {
  const problems: ProblemItem[] = []
  try {
    const update = check(Shown, JSON.parse(data), '', problems) as ShownUpdate
    const [first] = problems
    if (first === undefined) return { update }
    return { unreadable: printable(`${first.path || 'the event'} ${first.message}`) }
  } catch (error) {
    return { unreadable: printable(reasonOf(error)) }
  }
}

/** Text of a service moves no cursor. */
function printable(text: string): string {
  return excerptOf(text.replace(/\p{C}/gu, ' '), 200)
}

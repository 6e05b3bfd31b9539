import { signal } from '@preact/signals'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { createClientList, createModelList } from './averages.ts'
import { base, key, noConnection, refuseKey, type Schemas } from './client.ts'

export type Sample = Schemas['LiveSample']
export type LiveModel = Schemas['LiveModel']
export type LiveClient = Schemas['LiveClient']
export type LiveProcess = Schemas['LiveProcess']
export type LiveEvent = Schemas['LiveEvent']

/** The state that holds now. */
type State = Pick<
  Schemas['LiveUpdate'],
  'models' | 'clients' | 'processes' | 'silent' | 'unstored' | 'failed' | 'unreadable' | 'unready'
>

export interface Live extends State {
  /** `lost`: it is tried again. */
  state: 'connecting' | 'open' | 'lost' | 'refused'
  /** Why it is lost or refused. */
  reason?: string | undefined
  /** Up to five minutes by the second. */
  fine: Sample[]
  /** The last hour, by ten seconds. */
  coarse: Sample[]
  /** Oldest first. */
  events: LiveEvent[]
  /** How far the server's clock is ahead of this one, ms. */
  clockAhead: number
}

/** The service as the stream reports it. */
export const live = signal<Live>({
  state: 'connecting',
  fine: [],
  coarse: [],
  events: [],
  clockAhead: 0,
  models: [],
  clients: [],
  processes: [],
  silent: [],
  unstored: [],
  failed: [],
  unready: [],
})

/** From the server's steady clock to this machine's, ms: all moments are shown by the reader's clock. */
let offset = 0

const keptFine = 300
const keptCoarse = 360

/** Without an event for so long the stream is dead, ms: the server sends one each second. */
const longestSilence = 6000

let watchers = 0
let running: AbortController | undefined

/** Keeps the stream open until the function that it returns is called. */
export function watchLive(): () => void {
  watchers++
  if (watchers === 1) start()
  return () => {
    watchers--
    if (watchers === 0) running?.abort()
  }
}

key.subscribe(() => {
  if (watchers > 0) start()
})

function start(): void {
  running?.abort()
  const controller = new AbortController()
  running = controller
  run(controller.signal)
}

async function run(signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    const before = live.value.fine.at(-1)
    const reason = await follow(signal)
    if (signal.aborted || live.value.state === 'refused') return
    live.value = { ...live.value, state: 'lost', reason }
    if (live.value.fine.at(-1) !== before) failures = 0
    await aborted(AbortSignal.any([signal, AbortSignal.timeout(Math.min(500 * 2 ** failures, 5000))]))
  }
}

/** Follows the stream until it ends, and says why. */
async function follow(signal: AbortSignal): Promise<string> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), longestSilence)
  let isOpen = false
  const presented = key.value
  try {
    const response = await fetch(new URL('console/live', base), {
      signal: AbortSignal.any([signal, silence.signal]),
      headers: presented === '' ? {} : { authorization: `Bearer ${presented}` },
    })
    if (!response.ok || response.body === null) return await refusal(response, presented)
    isOpen = true
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
    const reader = events.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return closed
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), longestSilence)
      take(value.event, value.data)
    }
  } catch {
    if (silence.signal.aborted) return silent
    return isOpen ? closed : noConnection
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}

const closed = 'The connection was closed: the server may be overloaded or restarting'
const silent = `Nothing has come for ${longestSilence / 1000} seconds: the server may be overloaded, or stopped`

/** Why the server sends no stream. */
async function refusal(response: Response, presented: string): Promise<string> {
  const { detail } = (await response.json().catch(() => ({}))) as { detail?: string }
  const reason = detail ?? `The server answered with status ${response.status}`
  if (response.status === 401) refuseKey(presented)
  if (response.status === 401 || response.status === 403) live.value = { ...live.value, state: 'refused', reason }
  return reason
}

let models = createModelList()
let clients = createClientList()

function take(event: string | undefined, text: string): void {
  const { value } = live
  if (event === 'history') {
    const { at, clock, fine, coarse, events } = JSON.parse(text) as Schemas['LiveHistory']
    offset = Date.now() - at
    models = createModelList()
    clients = createClientList()
    live.value = {
      ...value,
      state: 'open',
      reason: undefined,
      clockAhead: clock - Date.now(),
      // Samples that this page saw itself may reach further back.
      fine: merge(value.fine, fine.map(shifted), keptFine),
      coarse: merge(value.coarse, coarse.map(shifted), keptCoarse),
      events: events.map(shifted),
    }
  } else if (event === 'sample') {
    const { clock, fine, coarse, events, ...state } = JSON.parse(text) as Schemas['LiveUpdate']
    const changed = new Set(events.map(({ id }) => id))
    live.value = {
      ...state,
      models: models(state.models),
      clients: clients(state.clients),
      state: 'open',
      clockAhead: clock - Date.now(),
      fine: merge(value.fine, fine.map(shifted), keptFine),
      coarse: merge(value.coarse, coarse.map(shifted), keptCoarse),
      events: [...value.events.filter(({ id }) => !changed.has(id)), ...events.map(shifted)].sort(
        (a, b) => a.id - b.id,
      ),
    }
  }
}

/** With its moments by this machine's clock. */
function shifted<T extends { at: number; until?: number }>(one: T): T {
  return { ...one, at: one.at + offset, ...(one.until !== undefined && { until: one.until + offset }) }
}

/** Older samples, then newer ones; each moment once. */
function merge(older: Sample[], newer: Sample[], most: number): Sample[] {
  const [first] = newer
  if (first === undefined) return older
  return [...older.filter(({ at }) => at < first.at), ...newer].slice(-most)
}

/** Five minutes: by the second where somebody watched, else by ten. */
export function lastMinutes({ fine, coarse }: Live): Sample[] {
  const from = Date.now() - 300_000
  const between = coarse.filter(
    ({ at, seconds }) => at > from && !fine.some((sample) => sample.at > at - 1000 * seconds && sample.at <= at),
  )
  return [...between, ...fine.filter(({ at }) => at > from)].sort((a, b) => a.at - b.at)
}

const aborted = (signal: AbortSignal) => new Promise((resolve) => signal.addEventListener('abort', resolve))

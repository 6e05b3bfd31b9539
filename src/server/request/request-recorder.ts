import type { RecordedLimits, RequestLists, RequestRecord } from '../../schemas/requests.ts'
import type { KeptBody } from './redact-body.ts'

/** Most failed requests of each code: a flood of one refusal does not push out the others. */
const mostFailedPerCode = 25

/** Keeps requests that have ended, in memory and within bounds. */
export interface RequestRecorder {
  readonly recorded: RecordedLimits
  /** `hold` is called for the body of a request that is kept, and that which it returns whenever the body is read. */
  add(record: RequestRecord, hold?: () => () => KeptBody): void
  /** The slowest, with their bodies. */
  slow(): RequestRecord[]
  /** Without bodies. */
  list(): RequestLists
  /** The newest request with this id, with its body; undefined where none is kept. */
  find(requestId: string): RequestRecord | undefined
}

export interface RequestRecorderOptions {
  /** Slowest requests that are kept of each minute. */
  slow: number
  /** Last requests that are kept. */
  recent: number
  bodies: boolean
  /** ms, monotonic. */
  now(): number
}

interface Entry {
  total_ms: number
  record: RequestRecord
  body: (() => KeptBody) | undefined
}

/** The bounds of the lists with these settings. */
export function recordedBy({ slow, recent, bodies }: Omit<RequestRecorderOptions, 'now'>): RecordedLimits {
  return { slow, failed: slow + recent > 0 ? mostFailedPerCode : 0, recent, bodies }
}

export function createRequestRecorder(options: RequestRecorderOptions): RequestRecorder {
  const { slow: mostSlow, recent: mostRecent, bodies, now } = options
  const slow = createSlowRequests<Entry>({ most: mostSlow, now })
  const failed = new Map<string, Entry[]>()
  const recent: Entry[] = []

  const all = () => [...recent, ...[...failed.values()].flat(), ...slow.list()]

  return {
    recorded: recordedBy(options),
    add(record, hold) {
      const entry: Entry = { total_ms: record.total_ms, record, body: undefined }
      const isSlow = slow.add(entry)
      const isFailed = record.status >= 400
      if (isFailed) {
        const group = groupOf(record)
        const entries = failed.get(group) ?? []
        failed.set(group, entries)
        keep(entries, entry, mostFailedPerCode)
      }
      keep(recent, entry, mostRecent)
      if (bodies && (isSlow || isFailed || mostRecent > 0)) entry.body = hold?.()
    },
    slow: () => slow.list().map(withBody),
    list: () => ({
      slow: slow.list().map(({ record }) => record),
      failed: newestFirst([...failed.values()].flat().map(({ record }) => record)),
      recent: newestFirst(recent.map(({ record }) => record)),
    }),
    find(requestId) {
      const found = all().filter(({ record }) => record.request_id === requestId)
      const [newest] = newestFirst(found.map(({ record }) => record))
      const entry = found.find(({ record }) => record === newest)
      return entry && withBody(entry)
    },
  }
}

/** The lists of all processes as those of one. */
export function joinLists(lists: readonly RequestLists[], { slow, recent }: RecordedLimits): RequestLists {
  const groups = new Map<string, RequestRecord[]>()
  for (const record of newestFirst(lists.flatMap((list) => list.failed))) {
    const group = groups.get(groupOf(record)) ?? []
    groups.set(groupOf(record), group)
    if (group.length < mostFailedPerCode) group.push(record)
  }
  return {
    slow: slowest(
      lists.flatMap((list) => list.slow),
      slow,
    ),
    failed: newestFirst([...groups.values()].flat()),
    recent: newestFirst(lists.flatMap((list) => list.recent)).slice(0, recent),
  }
}

/** The newest of the same id, of all processes. */
export function newestOf(records: RequestRecord[]): RequestRecord | undefined {
  return newestFirst(records)[0]
}

/** By its code; the codes are a closed set, and so are the statuses without one. */
const groupOf = ({ code, status }: RequestRecord): string => code ?? String(status)

function withBody({ record, body }: Entry): RequestRecord {
  if (body === undefined) return record
  const { body: kept, changed, missing } = body()
  if (missing !== undefined) return { ...record, body_missing: missing }
  return { ...record, body: kept, ...(changed && { body_changed: true }) }
}

function keep<T>(entries: T[], entry: T, most: number): void {
  entries.push(entry)
  if (entries.length > most) entries.shift()
}

/** Records from the newest to the oldest; among those of the same moment, the one that was added last comes first. */
function newestFirst(records: RequestRecord[]): RequestRecord[] {
  return records.reverse().sort((a, b) => Date.parse(b.ended ?? '') - Date.parse(a.ended ?? ''))
}

/** A request as far as this is concerned with it. */
interface Timed {
  total_ms: number
}

/** The slowest requests of this minute and the last, slowest first. */
export interface SlowRequests<T extends Timed> {
  /** Keeps the request if it is one of the slowest; whether it is. */
  add(request: T): boolean
  list(): T[]
}

const minute = 60_000

/** `most`: requests that are kept of each minute; `now`: ms, monotonic. */
export function createSlowRequests<T extends Timed>({ most, now }: { most: number; now(): number }): SlowRequests<T> {
  let current = { minute: Math.floor(now() / minute), requests: [] as T[] }
  let last: T[] = []

  function turn(): void {
    const at = Math.floor(now() / minute)
    if (at === current.minute) return
    last = at === current.minute + 1 ? current.requests : []
    current = { minute: at, requests: [] }
  }

  return {
    add(request) {
      turn()
      const { requests } = current
      if (requests.length >= most && request.total_ms <= (requests.at(-1)?.total_ms ?? Number.POSITIVE_INFINITY))
        return false
      requests.push(request)
      requests.sort(slowestFirst)
      if (requests.length > most) requests.pop()
      return true
    },
    list() {
      turn()
      return slowest([...current.requests, ...last], most)
    },
  }
}

/** The `most` slowest of all processes' requests. */
export function slowest<T extends Timed>(requests: T[], most: number): T[] {
  return requests.sort(slowestFirst).slice(0, most)
}

const slowestFirst = (a: Timed, b: Timed) => b.total_ms - a.total_ms

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

import type { RequestRecord } from './request-record.ts'

/** The slowest requests of this minute and the last, slowest first. */
export interface SlowRequests {
  /** Keeps the request if it is one of the slowest; `body` is then called for what is to be kept of its body. */
  add(record: RequestRecord, body?: () => unknown): void
  list(): RequestRecord[]
}

const minute = 60_000

/** `most`: requests that are kept of each minute; `now`: ms, monotonic. */
export function createSlowRequests({ most, now }: { most: number; now(): number }): SlowRequests {
  let current = { minute: Math.floor(now() / minute), records: [] as RequestRecord[] }
  let last: RequestRecord[] = []

  function turn(): void {
    const at = Math.floor(now() / minute)
    if (at === current.minute) return
    last = at === current.minute + 1 ? current.records : []
    current = { minute: at, records: [] }
  }

  return {
    add(record, body) {
      turn()
      const { records } = current
      if (records.length === most && record.total_ms <= records.at(-1)!.total_ms) return
      const kept = body?.()
      records.push(kept === undefined ? record : { ...record, body: kept })
      records.sort(slowestFirst)
      if (records.length > most) records.pop()
    },
    list() {
      turn()
      return slowest([...current.records, ...last], most)
    },
  }
}

/** The `most` slowest of all processes' requests. */
export function slowest(records: RequestRecord[], most: number): RequestRecord[] {
  return records.sort(slowestFirst).slice(0, most)
}

const slowestFirst = (a: RequestRecord, b: RequestRecord) => b.total_ms - a.total_ms

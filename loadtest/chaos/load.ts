import { setTimeout as sleep } from 'node:timers/promises'
import { renderRequest } from '../request-file.ts'
import type { Call } from './accounts.ts'
import { type Client, createClient } from './client.ts'
import { type Deadline, judge } from './judge.ts'
import { clientPortsOf } from './processes.ts'
import type { Seen } from './publish.ts'
import { keys } from './server.ts'
import type { KnownRequest } from './versions.ts'

export interface LoadOptions {
  /** Where the clients connect to, and where the server listens, if that is another port. */
  port: number
  serverPort: number
  authority: string
  requests: readonly KnownRequest[]
  /** Time of each request, ms from the start, ascending. */
  arrivals: Float64Array
  deadline: Deadline
  /** Milliseconds from the start. */
  now(): number
  serving(): readonly number[]
}

export interface Load {
  /** In the order in which they were sent. */
  calls: Call[]
  /** Answers whose `x-request-id` is none of a request. */
  strangers: string[]
  /** Versions that answered, in the order of the answers, of the last few. */
  seen(): Seen
  /** The server may refuse connections from now on. */
  serverStops(): void
  /** Sends no more after this time, ms; resolves when every request that was sent has ended. */
  end(at: number): Promise<void>
  /** Longest time for which the generator itself stood still, ms. */
  readonly longestStall: number
}

/** Few are kept, so that each is used several times in the drain delay, and learns of it. */
const connections = { initial: 32, limit: 600, kept: 40 }
/** Longest wait for an answer, ms: far beyond the deadline. */
const patience = 10_000
const mostSeen = 100

/** Sends requests when the schedule says, whatever becomes of earlier ones, and judges every answer. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { port, authority, requests, arrivals, deadline, now, serving, serverPort } = options
  const calls: Call[] = []
  const strangers: string[] = []
  const seen: { at: number; version: string }[] = []
  let stopsAt = Number.POSITIVE_INFINITY
  let endsAt = Number.POSITIVE_INFINITY
  let open = 0
  const stalls = watchStalls(now)
  const client: Client = createClient({
    ...{ port, authority, limit: connections.limit, kept: connections.kept, patience },
    onStray(id) {
      const call = calls[Number(/^chaos-(\d+)$/.exec(id ?? '')?.[1])]
      if (call === undefined) strangers.push(String(id))
      else call.duplicates++
    },
  })
  await client.open(connections.initial)
  const headers = {
    'content-type': 'application/json',
    'x-api-key': keys.backend,
    'x-deadline-ms': String(deadline.deadlineMs),
  }

  function send(index: number): void {
    const request = requests[index % requests.length]!
    const id = `chaos-${index}`
    const at = now()
    const call: Call = { at, end: at, outcome: 'not sent', reason: '', port: 0, duplicates: 0 }
    calls.push(call)
    const content = { headers: { ...headers, 'x-request-id': id }, body: request.body }
    const wasSent = client.send(id, renderRequest('/predict', content), (ending) => {
      call.end = now()
      // A deadline counts from the request's arrival. An answer waits to be read while the generator stands still.
      const left = at + ('answer' in ending ? ending.waited : 0)
      const took = call.end - left - stalls.within(left, call.end)
      Object.assign(call, judge(ending, request, took, deadline), { port: ending.port })
      if (call.outcome === 'no listener' && call.at < stopsAt) call.outcome = 'lost'
      if (call.outcome === 'failed' || call.outcome === 'lost') call.pid = holderOf(call.port)
      if (call.version !== undefined) {
        seen.push({ at, version: call.version })
        if (seen.length > 2 * mostSeen) seen.splice(0, mostSeen)
      }
      open--
    })
    if (wasSent) open++
  }

  const holderOf = (clientPort: number) => serving().find((pid) => clientPortsOf(pid, serverPort).has(clientPort))

  /** Timers have millisecond resolution: requests of the same millisecond are sent together. */
  function tick(): void {
    const until = Math.min(now(), endsAt)
    while (calls.length < arrivals.length && arrivals[calls.length]! <= until) send(calls.length)
    if (calls.length < arrivals.length && now() < endsAt) setTimeout(tick, Math.max(0, arrivals[calls.length]! - now()))
  }
  tick()
  return {
    calls,
    strangers,
    seen: () => seen,
    serverStops() {
      stopsAt = now()
    },
    async end(at) {
      endsAt = at
      while (now() <= endsAt || open > 0) await sleep(20)
      stalls.stop()
      client.destroy()
    },
    get longestStall() {
      return stalls.longest
    },
  }
}

/** How often the generator looks whether it stood still, and the shortest time that counts, ms. */
const stallInterval = 10
const leastStall = 30

/** Times in which this process did not get to its event loop. */
function watchStalls(now: () => number) {
  const stalls: { from: number; to: number }[] = []
  let last = now()
  let longest = 0
  const look = () => {
    const to = now()
    if (to - last > leastStall) stalls.push({ from: last, to })
    longest = Math.max(longest, to - last)
    last = to
  }
  const timer = setInterval(look, stallInterval)
  return {
    /** How long it stood still between two times, up to now, ms. */
    within(from: number, to: number): number {
      look()
      let sum = 0
      for (let i = stalls.length - 1; i >= 0 && stalls[i]!.to > from; i--)
        sum += Math.max(0, Math.min(to, stalls[i]!.to) - Math.max(from, stalls[i]!.from))
      return sum
    },
    get longest() {
      return longest
    },
    stop: () => clearInterval(timer),
  }
}

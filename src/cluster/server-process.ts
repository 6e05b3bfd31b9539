import { type ChildProcess, fork } from 'node:child_process'
import { serverArgv } from '../app/v8-flags.ts'
import { reasonOf } from '../model/base/errors.ts'
import type { InferStatistics } from '../schemas/infer-model.ts'
import type { LiveHistory, LiveUpdate } from '../schemas/live.ts'
import type { RequestLists, RequestRecord } from '../schemas/requests.ts'
import type { Reading } from '../server/console/reading.ts'
import type { ModelChange } from '../server/request/siblings.ts'
import { type Channel, createChannel } from './channel.ts'
import type { Connection, ConnectionReceiver } from './distributor.ts'
import { type KeyUsage, longestAnswer, type Refusal, type Start } from './messages.ts'
import type { Snapshot } from './totals.ts'

/** Requests and events of a serving process, for the primary. */
export interface MemberEvents {
  serving(member: ServerProcess): void
  /** It is to get connections. */
  ready(member: ServerProcess): void
  loaded(member: ServerProcess): void
  taken(member: ServerProcess): void
  /** It can't start, and why. */
  failed(member: ServerProcess, reason: string): void
  /** It got a signal: all are to stop. */
  stop(): void
  /** It stops alone. */
  leaving(member: ServerProcess): void
  metrics(): Promise<string>
  reasons(): Promise<string[]>
  statistics(): Promise<InferStatistics[]>
  slow(): Promise<RequestRecord[]>
  requests(): Promise<RequestLists>
  request(id: string): Promise<RequestRecord | undefined>
  liveHistory(): Promise<LiveHistory>
  /** What ended after this moment. */
  live(at: number): Promise<LiveUpdate | undefined>
  change(change: ModelChange): Promise<Refusal | undefined>
  /** What keys have used there. */
  usage(member: ServerProcess, usage: KeyUsage): void
}

/** A process that serves, as the primary one sees it. */
export class ServerProcess implements ConnectionReceiver {
  readonly pid: number | undefined
  /** When it was started, ms of the monotonic clock. */
  readonly born = performance.now()
  /** It can be given connections. */
  serving = false
  ready = false
  leaving = false
  /** What it has last answered. */
  snapshot: Snapshot | undefined
  /** Resolves with its exit code, or the signal that ended it, when all its messages have been handled. */
  readonly ended: Promise<number | string>
  readonly #process: ChildProcess
  readonly #channel: Channel

  constructor(start: Start, events: MemberEvents, script = new URL('./child.js', import.meta.url)) {
    this.#process = fork(script, [], {
      // Numbers that are none, as some metrics are, would not survive JSON.
      serialization: 'advanced',
      // Each would want the debugger's port.
      execArgv: serverArgv(process.execArgv.filter((argument) => !argument.startsWith('--inspect'))),
    })
    const child = this.#process
    this.pid = child.pid
    this.ended = new Promise((resolve) => {
      // Not `disconnect`, which never comes where a socket was on its way to it.
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
      child.on('error', (error) => {
        if (child.pid === undefined) resolve(reasonOf(error))
      })
    })
    this.#channel = createChannel(child, {
      serving: () => {
        this.serving = true
        events.serving(this)
      },
      ready: () => {
        this.ready = true
        events.ready(this)
      },
      loaded: () => events.loaded(this),
      taken: () => events.taken(this),
      failed: (reason: string) => events.failed(this, reason),
      stop: () => events.stop(),
      leave: () => {
        this.leaving = true
        events.leaving(this)
      },
      metrics: () => events.metrics(),
      reasons: () => events.reasons(),
      statistics: () => events.statistics(),
      slow: () => events.slow(),
      requests: () => events.requests(),
      request: (id: string) => events.request(id),
      live_history: () => events.liveHistory(),
      live: (at: number) => events.live(at),
      change: (change: ModelChange) => events.change(change),
      usage: (usage: KeyUsage) => events.usage(this, usage),
    })
    // Under `node --watch` the child reports the files that it has read.
    if (process.env.WATCH_REPORT_DEPENDENCIES) child.on('message', (message) => process.send?.(message))
    this.#channel.tell('start', start)
  }

  give({ socket, port }: Connection): void {
    this.#channel.tell('connection', port, socket)
  }

  /** What keys have used in another process. */
  addUsage(usage: KeyUsage): void {
    this.#channel.tell('usage', usage)
  }

  /** `started`: all processes were ready once. `drain`: it is to stop. `closed`: no more connections come. */
  tell(what: 'started' | 'drain' | 'closed'): void {
    this.#channel.tell(what)
  }

  /** Asks for its metrics, and keeps them; undefined where it doesn't answer in time. */
  async metrics(): Promise<Snapshot | undefined> {
    if (!this.serving) return undefined
    try {
      this.snapshot = (await this.#channel.ask('metrics', longestAnswer.metrics)) as Snapshot
      return this.snapshot
    } catch {
      return undefined
    }
  }

  /** Why it isn't ready; empty when it is. */
  async unreadyReasons(): Promise<string[]> {
    if (!this.serving) return [`process ${this.pid} is being started`]
    try {
      const reasons = (await this.#channel.ask('reasons', longestAnswer.reasons)) as string[]
      // Until then it gets no connections while others do: clients that came would all be with them.
      if (reasons.length === 0 && !this.ready) return [`process ${this.pid} is warming up`]
      return reasons.map((reason) => `process ${this.pid}: ${reason}`)
    } catch {
      return [`process ${this.pid} does not answer`]
    }
  }

  /** What it has counted; nothing where it doesn't answer in time. */
  async statistics(): Promise<InferStatistics[]> {
    const asked = this.#channel.ask('statistics', longestAnswer.statistics) as Promise<InferStatistics[]>
    return asked.catch(() => [])
  }

  /** What it has counted, and its state; undefined where it doesn't answer in time. */
  async reading(): Promise<Reading | undefined> {
    if (!this.serving) return undefined
    const asked = this.#channel.ask('reading', longestAnswer.reading) as Promise<Reading | undefined>
    return asked.catch(() => undefined)
  }

  /** Its slowest requests; none where it doesn't answer in time. */
  async slow(): Promise<RequestRecord[]> {
    const asked = this.#channel.ask('slow', longestAnswer.slow) as Promise<RequestRecord[]>
    return asked.catch(() => [])
  }

  /** Its recorded requests; none where it doesn't answer in time. */
  async requests(): Promise<RequestLists[]> {
    if (!this.serving) return []
    const asked = this.#channel.ask('requests', longestAnswer.requests) as Promise<RequestLists | undefined>
    return asked.then(
      (lists) => (lists === undefined ? [] : [lists]),
      () => [],
    )
  }

  /** Its newest recorded request with this id; undefined where there is none, or it doesn't answer in time. */
  async request(id: string): Promise<RequestRecord | undefined> {
    if (!this.serving) return undefined
    const asked = this.#channel.ask('request', longestAnswer.requests, id) as Promise<RequestRecord | undefined>
    return asked.catch(() => undefined)
  }

  /** Changes it there; why it refuses, if it does. One that dies meanwhile is replaced by one that knows. */
  async change(change: ModelChange): Promise<Refusal | undefined> {
    try {
      return (await this.#channel.ask('change', longestAnswer.change, change)) as Refusal | undefined
    } catch (error) {
      if (!this.#process.connected) return undefined
      return { code: 'NOT_READY', message: `Process ${this.pid} does not ${change.action} it: ${reasonOf(error)}` }
    }
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }
}

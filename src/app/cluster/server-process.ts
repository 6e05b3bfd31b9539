import { type ChildProcess, fork } from 'node:child_process'
import { reasonOf } from '../../base/errors.ts'
import type { LiveHistory, LiveUpdate } from '../../schemas/live-figures.ts'
import type { Reading } from '../../server/console/reading.ts'
import type { ModelChange } from '../../server/request/context.ts'
import { serverArgv } from '../v8-flags.ts'
import { type Channel, createChannel } from './channel.ts'
import type { Connection, ConnectionReceiver } from './distributor.ts'
import { Heartbeat, type Liveness } from './liveness.ts'
import { type KeyUsage, longestAnswer, type Questions, type Refusal, type Start } from './messages.ts'
import type { Snapshot } from './totals.ts'

/** Events of a serving process, and what it asks of all processes, for the primary. */
export interface MemberEvents extends Questions {
  serving(member: ServerProcess): void
  /** It is to get connections. */
  ready(member: ServerProcess): void
  loaded(member: ServerProcess): void
  taken(member: ServerProcess): void
  /** It answers pings no longer, or again. */
  liveness(member: ServerProcess, liveness: Liveness): void
  /** It can't start, and why. */
  failed(member: ServerProcess, reason: string): void
  /** It got a signal: all are to stop. */
  stop(): void
  /** It stops alone. */
  leaving(member: ServerProcess): void
  metrics(): Promise<string>
  reasons(): Promise<string[]>
  live_history(): Promise<LiveHistory>
  /** Intervals that ended after this moment. */
  live(at: number): Promise<LiveUpdate | undefined>
  change(change: ModelChange): Promise<Refusal | undefined>
  /** Called with what keys have used there. */
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
  /** It answers pings. */
  responsive = true
  /** It answered in time when its metrics were last asked for. */
  answers = true
  /** Its last answer to that. */
  snapshot: Snapshot | undefined
  /** Resolves with its exit code, or the signal that ended it, when all its messages have been handled. */
  readonly ended: Promise<number | string>
  readonly #process: ChildProcess
  readonly #channel: Channel
  readonly #heartbeat: Heartbeat

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
      const end = (how: number | string) => {
        this.#heartbeat.stop()
        this.#channel.close()
        resolve(how)
      }
      // Not `disconnect`, which never comes where a socket was on its way to it.
      child.once('close', (code, signal) => end(code ?? signal ?? 'unknown'))
      child.on('error', (error) => {
        if (child.pid === undefined) end(reasonOf(error))
      })
    })
    const { serving, ready, loaded, taken, liveness, failed, stop, leaving, usage, ...questions } = events
    this.#heartbeat = new Heartbeat((state) => {
      this.responsive = state === 'responsive'
      liveness(this, state)
    })
    this.#channel = createChannel(child, {
      ...questions,
      serving: () => {
        this.serving = true
        serving(this)
      },
      ready: () => {
        this.ready = true
        // Before, it may be busy with its start.
        this.#heartbeat.start(() => this.#channel.tell('ping'))
        ready(this)
      },
      loaded: () => loaded(this),
      taken: () => taken(this),
      pong: () => this.#heartbeat.answered(),
      failed: (reason: string) => failed(this, reason),
      stop,
      leave: () => {
        this.leaving = true
        leaving(this)
      },
      usage: (used: KeyUsage) => usage(this, used),
    })
    // Under `node --watch` the child reports the files that it has read.
    if (process.env.WATCH_REPORT_DEPENDENCIES) child.on('message', (message) => process.send?.(message))
    this.#channel.tell('start', start)
  }

  give({ socket, port }: Connection): void {
    this.#channel.tell('connection', port, socket)
  }

  /** Passes on what keys have used in another process. */
  addUsage(usage: KeyUsage): void {
    this.#channel.tell('usage', usage)
  }

  /** `started`: all processes were ready once. `drain`: it is to stop. `closed`: no more connections come. */
  tell(what: 'started' | 'drain' | 'closed'): void {
    this.#channel.tell(what)
  }

  /**
   * Asks it of itself alone. Undefined, as `metrics` and `reading`, where it doesn't serve yet, or doesn't answer in
   * time.
   */
  ask<Kind extends keyof Questions>(kind: Kind, ...payload: Parameters<Questions[Kind]>): ReturnType<Questions[Kind]> {
    return this.#ask(kind, ...payload) as ReturnType<Questions[Kind]>
  }

  /** Asks for its metrics, and keeps them. */
  async metrics(): Promise<Snapshot | undefined> {
    const snapshot = (await this.#ask('metrics')) as Snapshot | undefined
    this.snapshot = snapshot ?? this.snapshot
    return snapshot
  }

  /** Its counts, and its state. */
  reading(): Promise<Reading | undefined> {
    return this.#ask('reading') as Promise<Reading | undefined>
  }

  /** Why it isn't ready; empty when it is. */
  async unreadyReasons(): Promise<string[]> {
    if (!this.serving) return [`process ${this.pid} is being started`]
    if (!this.responsive) return [`process ${this.pid} does not answer`]
    try {
      const reasons = (await this.#channel.ask('reasons', longestAnswer.reasons)) as string[]
      // Until then it gets no connections while others do: clients that came would all be with them.
      if (reasons.length === 0 && !this.ready) return [`process ${this.pid} is warming up`]
      return reasons.map((reason) => `process ${this.pid}: ${reason}`)
    } catch {
      return [`process ${this.pid} does not answer`]
    }
  }

  /**
   * Changes it there; why it refuses, if it does. One that dies meanwhile is replaced by one that knows, and one that
   * does not answer pings is not waited for: it makes the change when it runs again.
   */
  async change(change: ModelChange): Promise<Refusal | undefined> {
    const asked = this.#channel.ask('change', longestAnswer.change, change)
    try {
      if (!this.responsive) {
        asked.catch(() => undefined)
        throw new Error('it does not answer')
      }
      return (await asked) as Refusal | undefined
    } catch (error) {
      if (!this.connected) return undefined
      return { code: 'NOT_READY', message: `Process ${this.pid} does not ${change.action} it: ${reasonOf(error)}` }
    }
  }

  /** False from its end on. */
  get connected(): boolean {
    return this.#process.connected
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  async #ask(kind: keyof typeof longestAnswer, payload?: unknown): Promise<unknown> {
    if (!this.serving || !this.responsive) return undefined
    return this.#channel.ask(kind, longestAnswer[kind], payload).catch(() => undefined)
  }
}

import { Registry } from 'prom-client'
import type { Configuration } from '../../schemas/configuration.ts'
import { createRecorder, type LiveRecorder, runRecorder } from '../../server/console/recorder.ts'
import { createReadMetrics } from '../../server/metrics/read-metrics.ts'
import type { Log } from '../load-options.ts'
import { createAnswersOfAll, ReadingsOfAll } from './answers-of-all.ts'
import { Distributor } from './distributor.ts'
import type { Liveness } from './liveness.ts'
import { ModelChanges, type Questions } from './messages.ts'
import { type MemberEvents, ServerProcess } from './server-process.ts'
import { shareOf } from './share.ts'
import { type Snapshot, Totals } from './totals.ts'
import { Unavailable } from './unavailable.ts'

export interface GroupOptions {
  configuration: Configuration
  /** Where the service listens. */
  url: string
  /** Where administration listens, if it has a port of its own. */
  adminUrl: string | undefined
  log: Log
  /** A process got a signal that is meant for all. */
  onStop(): void
}

/** The place of one process. */
interface ProcessSlot {
  /** The one that is there. */
  member: ServerProcess | undefined
  /** The delay before it was started, ms. */
  delay: number | undefined
  /** When the next one is started, ms of the monotonic clock. */
  startsAt: number
}

/**
 * The processes that serve: starts them, the first one alone until its models are loaded, so that nothing is compiled
 * twice; replaces those that die; answers for all of them together.
 */
export class Group {
  readonly distributor = new Distributor()
  readonly #options: GroupOptions
  readonly #places: ProcessSlot[]
  readonly #totals = new Totals()
  readonly #models = new ModelChanges()
  readonly #own = new Registry()
  readonly #all: Questions
  readonly #readings = new ReadingsOfAll(() => this.#members())
  readonly #recorder: LiveRecorder
  readonly #unavailable: Unavailable
  #replaced = 0
  #unresponsive = 0
  readonly #timers = new Set<NodeJS.Timeout>()
  #state: 'starting' | 'started' | 'stopping' = 'starting'
  /** All were ready once. */
  #wasReady = false
  #scraping: Promise<string> | undefined
  #onServing: () => void = () => undefined
  #onFailed: (error: Error) => void = () => undefined

  constructor(options: GroupOptions) {
    this.#options = options
    this.#places = Array.from({ length: options.configuration.MULTIGATE_PROCESSES }, () => ({
      member: undefined,
      delay: undefined,
      startsAt: Number.POSITIVE_INFINITY,
    }))
    const members = () => this.#members()
    this.#all = createAnswersOfAll(members, options.configuration)
    this.#unavailable = new Unavailable(options.configuration, () => (this.#nextStart() - performance.now()) / 1000)
    this.#recorder = createRecorder(() => this.#readings.read())
    if (options.configuration.MULTIGATE_CONSOLE) runRecorder(this.#recorder)
    const { gauge, counter } = createReadMetrics(this.#own)
    gauge(
      'multigate_processes',
      'Processes that serve: ready once, and answering',
      () => members().filter(({ ready, responsive, answers }) => ready && responsive && answers).length,
    )
    gauge('multigate_processes_configured', 'Processes that are to serve', () => this.#places.length)
    counter(
      'multigate_processes_unresponsive_total',
      'Times that a process answered nothing for 5 s',
      () => this.#unresponsive,
    )
    counter('multigate_processes_replaced_total', 'Processes that died and were replaced', () => this.#replaced)
  }

  /** Resolves when the first process takes connections; rejects with its reason where it can't. */
  start(): Promise<void> {
    this.#spawn(this.#places[0]!)
    return new Promise((resolve, reject) => {
      this.#onServing = resolve
      this.#onFailed = reject
    })
  }

  /** From now on nothing is ready; every process goes on answering until `end` says that no connections come. */
  drain(): void {
    this.#state = 'stopping'
    for (const timer of this.#timers) clearTimeout(timer)
    for (const member of this.#members()) member.tell('drain')
  }

  /**
   * No more connections come: resolves when every process has ended. Rejects where one ended otherwise than it should.
   */
  async end(): Promise<void> {
    this.distributor.flush()
    const members = this.#members()
    for (const member of members) member.tell('closed')
    const ended = await Promise.all(members.map(({ ended }) => ended))
    const wrong = ended.flatMap((how, i) => (how === 0 || !members[i]!.serving ? [] : [`${members[i]!.pid} by ${how}`]))
    if (wrong.length > 0) throw new Error(`processes ended before they had answered all: ${wrong.join(', ')}`)
  }

  /** Ends every process immediately. */
  kill(): void {
    for (const member of this.#members()) member.kill()
  }

  /** Metrics of all processes in the Prometheus text format; one that doesn't answer counts with what it last said. */
  metrics(): Promise<string> {
    this.#scraping ??= this.#scrape().finally(() => {
      this.#scraping = undefined
    })
    return this.#scraping
  }

  /** Why the service isn't ready. Once all processes were, it is while any of them is. */
  async unreadyReasons(): Promise<string[]> {
    if (this.#state === 'stopping') return ['shutting down']
    const reasons = await Promise.all(
      this.#places.map(async ({ member }, i) =>
        member === undefined
          ? [`process ${i + 1} of ${this.#places.length} is yet to be started`]
          : member.unreadyReasons(),
      ),
    )
    if (reasons.every(({ length }) => length === 0)) this.#allReady()
    return this.#wasReady && reasons.some(({ length }) => length === 0) ? [] : reasons.flat()
  }

  #allReady(): void {
    if (this.#wasReady) return
    this.#wasReady = true
    this.#options.log.info({ processes: this.#places.length }, 'all processes are ready')
    for (const member of this.#members()) member.tell('started')
  }

  #spawn(place: ProcessSlot): void {
    const { configuration, url, adminUrl } = this.#options
    const unloaded = this.#models.unloaded
    // The primary process has looked for the folder: one that replaces another starts, wherever a volume is meanwhile.
    const share = { ...shareOf(configuration), MULTIGATE_WAIT_FOR_MODELS: configuration.MULTIGATE_POLL_SECONDS > 0 }
    this.distributor.refuseBy(undefined)
    this.#unavailable.close()
    const introduces = this.#state === 'starting' && place === this.#places[0]
    const start = { configuration: share, url, adminUrl, started: this.#wasReady, introduces, unloaded }
    const member = new ServerProcess(start, { ...this.#events, ...this.#all })
    place.member = member
    member.ended.then((how) => this.#ended(place, member, how))
  }

  readonly #events: Omit<MemberEvents, keyof Questions> = {
    serving: (member) => {
      this.distributor.add(member)
      this.#onServing()
    },
    ready: () => {
      this.distributor.update()
      // Whether all are ready now.
      this.unreadyReasons()
    },
    loaded: () => {
      if (this.#state === 'starting') {
        this.#state = 'started'
        for (const place of this.#places) if (place.member === undefined) this.#spawn(place)
      }
    },
    taken: (member) => this.distributor.taken(member),
    liveness: (member, liveness) => this.#noteLiveness(member, liveness),
    failed: (member, reason) => {
      this.#options.log.error({ process: member.pid, reason }, "a process can't start")
      this.#onFailed(new Error(reason))
      member.kill()
    },
    leaving: (member) => member.tell('closed'),
    stop: () => this.#options.onStop(),
    metrics: () => this.metrics(),
    reasons: () => this.unreadyReasons(),
    live_history: () => this.#recorder.history(),
    live: (at) => this.#recorder.latest(at),
    change: (change) => this.#models.change(change, () => this.#members()),
    usage: (member, usage) => {
      for (const other of this.#members()) if (other !== member) other.addUsage(usage)
    },
  }

  #noteLiveness(member: ServerProcess, liveness: Liveness): void {
    if (liveness === 'unresponsive') this.#unresponsive++
    this.distributor.update()
    this.#note(member, liveness === 'responsive')
    if (liveness !== 'lost' || this.#state === 'stopping') return
    this.#options.log.error({ process: member.pid }, 'a process has not answered for 30 s: it is killed and replaced')
    member.kill()
  }

  #ended(place: ProcessSlot, member: ServerProcess, how: number | string): void {
    this.distributor.remove(member)
    this.#readings.ended(member, how)
    if (member.snapshot !== undefined) this.#totals.retire(member.snapshot)
    place.member = undefined
    this.#onFailed(new Error(`its first process ended before it served: ${how}`))
    if (this.#state === 'stopping') return
    place.delay = backOff(performance.now() - member.born, place.delay)
    place.startsAt = performance.now() + place.delay
    this.#options.log.error(
      { process: member.pid, ended: how, delay_ms: place.delay },
      'a process died; another takes its place',
    )
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#replaced++
      this.#spawn(place)
    }, place.delay)
    this.#timers.add(timer)
    // Connections wait for one that is being started, or is started immediately.
    const isNoneStarting = this.#members().length === 0 && this.#nextStart() > performance.now()
    if (isNoneStarting) this.distributor.refuseBy(({ socket }) => this.#unavailable.answer(socket))
  }

  #nextStart(): number {
    return Math.min(...this.#places.map(({ startsAt }) => startsAt))
  }

  async #scrape(): Promise<string> {
    const members = this.#members()
    const answers = await Promise.all(members.map((member) => member.metrics()))
    for (const [i, member] of members.entries()) this.#note(member, answers[i] !== undefined)
    const own = (await this.#own.getMetricsAsJSON()) as Snapshot
    // The counters of those that have died meanwhile are kept already.
    const alive = (member: ServerProcess) => this.#members().includes(member)
    const current = answers.filter((answer, i) => answer !== undefined && alive(members[i]!)) as Snapshot[]
    const earlier = members.flatMap((member, i) =>
      answers[i] === undefined && member.snapshot !== undefined && alive(member) ? [member.snapshot] : [],
    )
    return this.#totals.text([own, ...current], earlier)
  }

  /** One that loads its models may be busy, and the end of one is reported by itself. */
  #note(member: ServerProcess, answers: boolean): void {
    if (!member.ready || !member.connected || member.answers === answers) return
    member.answers = answers
    const { log } = this.#options
    if (answers) log.info({ process: member.pid }, 'a process answers again')
    else log.warn({ process: member.pid }, 'a process does not answer: it is stopped, or very busy')
  }

  #members(): ServerProcess[] {
    return this.#places.flatMap(({ member }) => (member === undefined ? [] : [member]))
  }
}

/** A process that lived this long, ms, did not die at its start. */
const longLife = 60_000

const first = 500
const longest = 30_000

/**
 * How long to wait before a process that has died is replaced, ms: not at all the first time, then twice as long each
 * time that it dies soon. `lived`: ms from its start; `previous`: the delay before it was started.
 */
export function backOff(lived: number, previous: number | undefined): number {
  if (previous === undefined || lived >= longLife) return 0
  return Math.min(longest, Math.max(first, previous * 2))
}

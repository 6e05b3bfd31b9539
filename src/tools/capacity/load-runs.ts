import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../base/clock.ts'
import { runClosedLoop } from '../load/closed-loop.ts'
import { type Connections, createConnections } from '../load/connections.ts'
import {
  type OpenLoopResult,
  poissonSchedule,
  type Quantiles,
  quantiles,
  runOpenLoop,
  steppedSchedule,
} from '../load/open-loop.ts'
import type { PredictRequests } from '../load/predict-requests.ts'
import type { MeasuredServer, Usage } from './measured-server.ts'

/** A model, and the requests that load it. */
export interface Load {
  /** Folder of models, and the name of the model. */
  models: string
  model: string
  candidates: number
  /** Share of the candidates that are cached. */
  cached: number
  /** Whether requests name candidates and users by their keys. */
  byId?: boolean
  /** Length of a measurement, s. */
  seconds: number
}

/** Seed of the requests and of their arrivals. */
export const seed = 1

/** A run's load and what it cost the server. */
export interface Run {
  /** Answers with status 200 per second. */
  rate: number
  /** Processor time of the server per answer, and busy time of its event loop, s. */
  processorSeconds: number
  eventLoopSeconds: number
  /** Cores that the server used. */
  cores: number
  /** Requests per engine call. */
  callRequests: number
  /** Share of the candidates that were cached; NaN without a cache. */
  cached: number
  /** Bytes of an answer, with headers. */
  answerBytes: number
  /** Cores that other programs used. */
  otherCores: number
}

export interface OpenRun extends Run {
  result: OpenLoopResult
}

/** A step of a run at rising rates. */
export interface Step extends Quantiles {
  /** Scheduled requests per second. */
  rate: number
  scheduled: number
  /** Answered within the bound. */
  good: number
}

/** Most cores that other programs may use without a warning. */
const quietCores = 0.15

/** A warning if other programs used the processor during these runs. */
export function warnOfOthers(runs: readonly Pick<Run, 'otherCores'>[]): string[] {
  const most = Math.max(...runs.map(({ otherCores }) => otherCores))
  if (most <= quietCores) return []
  return [`Other programs used ${most.toFixed(1)} cores: stop them and measure again, or distrust the figures.`, '']
}

/** Connections of the open loop; enough for the longest queues that a bound of latency allows. */
const mostConnections = 256
/** Requests in progress of the closed loop. */
export const inProgress = 32
/** Longest wait for answers after rising rates, ms. */
const graceMs = 1000
/** Longest wait for answers that must all come, ms: a machine that becomes busy makes queues, not failures. */
const patienceMs = 60_000
/** Pause in which queues drain and connections settle, ms. */
const pauseMs = 200
/** Longest warm-up run, s; runs that are no cheaper before it ends; most of them. */
const longestWarmUp = 0.5
const steadyRuns = 3
const mostWarmUps = 20
/** Fewest answers of which a cost is measured, and the longest time that is taken for them, s. */
export const fewestAnswers = 20
const longestRun = 60

/** The server answered no request, and said that it is too busy for each: its deadline is too short for any. */
class AllRejectedError extends Error {}

/** Loads one server with one kind of requests, over connections of its own. */
export class LoadRuns {
  readonly #server: MeasuredServer
  readonly #connections: Connections
  readonly #requests: PredictRequests
  readonly #signal: AbortSignal
  readonly #seed: number
  /** Number of requests so far: none is sent twice. */
  #sent = 0

  private constructor(server: MeasuredServer, requests: PredictRequests, seed: number, signal: AbortSignal) {
    const { hostname: host, port } = new URL(server.url)
    this.#server = server
    this.#requests = requests
    this.#seed = seed
    this.#signal = signal
    this.#connections = createConnections({
      host,
      port: Number(port),
      requests: requests.requests,
      limit: mostConnections,
    })
  }

  /** Warms a server up and runs `work`, with connections that close at its end. `seconds`: length of a measurement. */
  static async within<T>(
    server: MeasuredServer,
    requests: PredictRequests,
    { seconds, signal, seed: own = seed }: { seconds: number; signal: AbortSignal; seed?: number },
    work: (runs: LoadRuns) => Promise<T>,
  ): Promise<T> {
    const runs = new LoadRuns(server, requests, own, signal)
    try {
      await runs.#connections.openAll()
      await sleep(pauseMs)
      await runs.#warmUp(seconds)
      return await work(runs)
    } finally {
      runs.#connections.destroy()
    }
  }

  /**
   * As many requests as the server can answer, until they no longer become cheaper: V8 has compiled what is called
   * often.
   */
  async #warmUp(seconds: number): Promise<void> {
    const length = Math.min(longestWarmUp, seconds / 4)
    let least = Number.POSITIVE_INFINITY
    for (let runs = 0, steady = 0; steady < steadyRuns && runs < mostWarmUps; runs++) {
      const run = await this.closed(length).catch(noneIfRejected)
      // Nothing that answers is left to be compiled.
      if (run === undefined) return
      const { processorSeconds } = run
      steady = processorSeconds > least * 0.95 ? steady + 1 : 0
      least = Math.min(least, processorSeconds)
    }
  }

  /**
   * As many requests as the server can answer; longer where these are too few to tell what they cost. Throws if one
   * fails, or hardly any is answered; AllRejectedError where the server rejects all.
   */
  async closed(seconds: number): Promise<Run> {
    for (let length = seconds; ; length *= 2) {
      const run = await this.#measure(() =>
        runClosedLoop({ transport: this.#transport(), clock: systemClock, inProgress, seconds: length }),
      )
      const { answers, rejected, failed, reasons } = run.result
      if (failed > 0) throw new Error(`${failed} requests failed: ${reasons.join(', ')}`)
      if (answers === 0 && rejected > 0) throw new AllRejectedError(`the server rejected all of ${rejected} requests`)
      if (answers >= fewestAnswers) return run
      if (length > longestRun)
        throw new Error(`the server answered only ${answers} requests in ${Math.round(length)} s; is the machine busy?`)
    }
  }

  /** Poisson arrivals at this rate. Throws if a request fails. */
  async open(rate: number, seconds: number, deadlineMs = Number.POSITIVE_INFINITY): Promise<OpenRun> {
    const schedule = poissonSchedule(rate, seconds, this.#seed + this.#sent)
    const run = await this.#measure(() =>
      runOpenLoop({ schedule, transport: this.#transport(), clock: systemClock, deadlineMs, graceMs: patienceMs }),
    )
    const { failed, reasons } = run.result
    if (failed > 0) throw new Error(`${failed} requests failed: ${reasons.join(', ')}`)
    return run
  }

  /** Poisson arrivals at each of these rates in turn; answers count within `boundMs`. */
  async steps(rates: readonly number[], seconds: number, boundMs: number): Promise<Step[]> {
    const { times, starts } = steppedSchedule(rates, seconds, this.#seed + this.#sent)
    const latencies = rates.map((): number[] => [])
    await this.#measure(() =>
      runOpenLoop({
        schedule: times,
        transport: this.#transport(),
        clock: systemClock,
        deadlineMs: boundMs,
        graceMs: Math.max(graceMs, boundMs),
        onAnswer: (index, latency) => latencies[starts.findIndex((start) => start > index) - 1]!.push(latency),
      }),
    )
    return rates.map((rate, step) => ({
      rate,
      scheduled: starts[step + 1]! - starts[step]!,
      good: latencies[step]!.filter((latency) => latency <= boundMs).length,
      ...quantiles(latencies[step]!),
    }))
  }

  #transport() {
    const first = this.#sent
    return {
      send: (index: number, done: Parameters<Connections['send']>[1]) => {
        this.#sent = Math.max(this.#sent, first + index + 1)
        this.#requests.refresh(first + index)
        return this.#connections.send(first + index, done)
      },
    }
  }

  async #measure<T extends object>(load: () => Promise<T>): Promise<Run & { result: T }> {
    this.#signal.throwIfAborted()
    const before = await this.#server.usage()
    const bytes = this.#connections.bytesRead
    const [machine, own] = [machineSeconds(), process.cpuUsage()]
    const result = await load()
    const after = await this.#server.usage()
    const { user, system } = process.cpuUsage(own)
    const others =
      machineSeconds() - machine - (user + system) / 1e6 - (after.processorSeconds - before.processorSeconds)
    const otherCores = Math.max(0, (others * 1000) / (after.at - before.at))
    const counts = result as { answers?: number; good?: number; late?: number }
    const answers = counts.answers ?? counts.good! + counts.late!
    await sleep(pauseMs)
    this.#signal.throwIfAborted()
    return {
      ...runOf(before, after, answers),
      answerBytes: (this.#connections.bytesRead - bytes) / answers,
      otherCores,
      result,
    }
  }
}

/** Undefined in the place of a run in which all requests were rejected. */
function noneIfRejected(error: unknown): undefined {
  if (!(error instanceof AllRejectedError)) throw error
}

function runOf(before: Usage, after: Usage, answers: number): Omit<Run, 'answerBytes' | 'otherCores'> {
  const of = (key: keyof Usage) => after[key] - before[key]
  const seconds = of('at') / 1000
  return {
    rate: answers / seconds,
    processorSeconds: of('processorSeconds') / answers,
    eventLoopSeconds: of('eventLoopSeconds') / answers,
    cores: of('processorSeconds') / seconds,
    callRequests: of('callRequests') / of('calls'),
    cached: of('cacheHits') / (of('cacheHits') + of('cacheMisses')),
  }
}

/** Processor time that the machine has used so far, s. */
function machineSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000
}

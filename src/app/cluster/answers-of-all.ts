import { setTimeout } from 'node:timers/promises'
import type { Configuration } from '../../schemas/configuration.ts'
import type { InferStatistics } from '../../schemas/infer-model.ts'
import type { RequestLists, RequestRecord } from '../../schemas/requests.ts'
import type { Readings } from '../../server/console/reading.ts'
import { sumStatistics } from '../../server/metrics/statistics.ts'
import {
  largestDrift,
  type Observations,
  sumObservations,
  type VersionDrift,
  type VersionKey,
} from '../../server/request/observations.ts'
import { joinLists, newestOf, recordedBy, slowest } from '../../server/request/request-recorder.ts'
import type { ServerProcess } from './server-process.ts'

/** Endings that are remembered. */
const mostEndings = 32

/** From when a process is gone until it is known how it ended, ms at most. */
const longestEnding = 200

/** Asks all processes, and answers as one. Counts of processes that have died are lost. */
export class AnswersOfAll {
  readonly #members: () => ServerProcess[]
  readonly #configuration: Configuration
  readonly #endings = new Map<number, number | string>()

  constructor(members: () => ServerProcess[], configuration: Configuration) {
    this.#members = members
    this.#configuration = configuration
  }

  async statistics(): Promise<InferStatistics[]> {
    return sumStatistics((await this.#ask((member) => member.statistics())).flat())
  }

  /** The slowest requests. */
  async slow(): Promise<RequestRecord[]> {
    return slowest((await this.#ask((member) => member.slow())).flat(), this.#configuration.MULTIGATE_SLOW_REQUESTS)
  }

  /** The recorded requests. */
  async requests(): Promise<RequestLists> {
    const limits = recordedBy({
      slow: this.#configuration.MULTIGATE_SLOW_REQUESTS,
      recent: this.#configuration.MULTIGATE_RECENT_REQUESTS,
      bodies: this.#configuration.MULTIGATE_SLOW_BODIES,
    })
    return joinLists(await this.#ask((member) => member.requests()), limits)
  }

  /** The newest recorded request with this id. */
  async request(id: string): Promise<RequestRecord | undefined> {
    return newestOf(await this.#ask((member) => member.request(id)))
  }

  /** Counts of a version's values and answers; undefined where no process has loaded it. */
  async observations(version: VersionKey): Promise<Observations | undefined> {
    return sumObservations(await this.#ask((member) => member.observations(version)))
  }

  async drift(): Promise<VersionDrift[]> {
    return largestDrift((await this.#ask((member) => member.drift())).flat())
  }

  /** The counts of all processes since their start, and how those that are gone ended. */
  async readings(): Promise<Readings> {
    const asked = this.#members().filter(({ serving }) => serving)
    const readings = await Promise.all(asked.map((member) => member.reading()))
    const gone = asked.filter(({ connected }) => !connected)
    await Promise.all(gone.map(({ ended }) => Promise.race([ended, setTimeout(longestEnding)])))
    return {
      answered: readings.filter((reading) => reading !== undefined),
      silent: asked.flatMap(({ pid, connected }, i) =>
        readings[i] === undefined && connected && pid !== undefined ? [pid] : [],
      ),
      ended: this.#endings,
    }
  }

  /** `how`: its exit code, or the signal that ended it. */
  ended({ pid }: ServerProcess, how: number | string): void {
    if (pid === undefined) return
    this.#endings.delete(pid)
    this.#endings.set(pid, how)
    const [oldest] = this.#endings.keys()
    if (this.#endings.size > mostEndings) this.#endings.delete(oldest!)
  }

  /** The answers of those that answer in time. */
  async #ask<Answer>(ask: (member: ServerProcess) => Promise<Answer | undefined>): Promise<Answer[]> {
    const answers = await Promise.all(this.#members().map(ask))
    return answers.filter((answer) => answer !== undefined) as Answer[]
  }
}

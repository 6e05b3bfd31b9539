import { setTimeout } from 'node:timers/promises'
import type { Configuration } from '../../schemas/configuration.ts'
import type { Readings } from '../../server/console/reading.ts'
import { sumStatistics } from '../../server/metrics/statistics.ts'
import { sumCounts } from '../../server/prediction-log/log-status.ts'
import { largestDrift, sumObservations } from '../../server/request/observations.ts'
import { joinLists, newestOf, recordedBy, slowest } from '../../server/request/request-recorder.ts'
import type { Questions } from './messages.ts'
import type { ServerProcess } from './server-process.ts'

/** Endings that are remembered. */
const mostEndings = 32

/** From when a process is gone until it is known how it ended, ms at most. */
const longestEnding = 200

/** Asks all processes, and answers as one. Counts of processes that have died are lost. */
export function createAnswersOfAll(
  members: () => ServerProcess[],
  { MULTIGATE_SLOW_REQUESTS: slow, MULTIGATE_RECENT_REQUESTS: recent, MULTIGATE_SLOW_BODIES: bodies }: Configuration,
): Questions {
  /** The answers of those that answer in time. */
  async function ask<Kind extends keyof Questions>(kind: Kind, ...payload: Parameters<Questions[Kind]>) {
    const answers = await Promise.all(members().map((member) => member.ask(kind, ...payload)))
    return answers.filter((answer) => answer !== undefined)
  }

  return {
    statistics: async () => sumStatistics((await ask('statistics')).flat()),
    slow: async () => slowest((await ask('slow')).flat(), slow),
    requests: async () => joinLists(await ask('requests'), recordedBy({ slow, recent, bodies })),
    request: async (id) => newestOf(await ask('request', id)),
    observations: async (version) => sumObservations(await ask('observations', version)),
    drift: async () => largestDrift((await ask('drift')).flat()),
    logCounts: async () => sumCounts(await ask('logCounts')),
  }
}

/** Reads all processes, and remembers how those that are gone ended. */
export class ReadingsOfAll {
  readonly #members: () => ServerProcess[]
  readonly #endings = new Map<number, number | string>()

  constructor(members: () => ServerProcess[]) {
    this.#members = members
  }

  /** The counts of all processes since their start, and how those that are gone ended. */
  async read(): Promise<Readings> {
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
}

import type { Certificates } from './certificates.ts'
import { type AdminAnswer, askAdmin, type ChaosServer } from './server.ts'

/** The service's state, as one scrape of /metrics has it. */
export interface Scrape {
  /** When it was asked for and answered, ms from the start. */
  at: number
  end: number
  /** Reason of a scrape that failed. */
  failed: string | undefined
  processes: number
  /** Processes that died and were replaced. */
  replaced: number
  plansUnstored: number
  linesDropped: number
  /** By which the server's wall clock is ahead, s. */
  clockAhead: number
}

export interface Scraper {
  readonly all: readonly Scrape[]
  /** The last that was answered. */
  readonly last: Scrape | undefined
  stop(): Promise<void>
}

/** Time between two scrapes, ms. */
const interval = 200

/** Asks for /metrics five times a second, each over a connection of its own; `now` is ms from the start. */
export function startScraping(server: ChaosServer, certificates: Certificates, now: () => number): Scraper {
  const all: Scrape[] = []
  let last: Scrape | undefined
  let isOver = false
  const work = (async () => {
    while (!isOver) {
      const at = now()
      const answer = await askAdmin(server, certificates, '/metrics').catch((error: Error) => error)
      if (isOver) return
      const scrape = readScrape(answer, at, now())
      all.push(scrape)
      if (scrape.failed === undefined) last = scrape
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, at + interval - now())))
    }
  })()
  return {
    all,
    get last() {
      return last
    },
    stop() {
      isOver = true
      return work
    },
  }
}

function readScrape(answer: AdminAnswer | Error, at: number, end: number): Scrape {
  const failed =
    answer instanceof Error ? answer.message : answer.status === 200 ? undefined : `status ${answer.status}`
  const { text, date } = answer instanceof Error ? { text: '', date: Number.NaN } : answer
  const sum = (name: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  return {
    ...{ at, end, failed },
    processes: sum('multigate_processes '),
    replaced: sum('multigate_processes_replaced_total '),
    plansUnstored: sum('multigate_plan_unstored{'),
    linesDropped: sum('multigate_log_lines_dropped_total'),
    clockAhead: (date - Date.now()) / 1000,
  }
}

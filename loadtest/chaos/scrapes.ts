import { setTimeout as sleep } from 'node:timers/promises'
import { sumOf } from '../../src/tools/capacity/measured-server.ts'
import type { AdminAnswer, ChaosServer } from './server.ts'

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
export function startScraping(server: ChaosServer, now: () => number): Scraper {
  const all: Scrape[] = []
  let last: Scrape | undefined
  let isOver = false
  const work = (async () => {
    while (!isOver) {
      const at = now()
      const answer = await server.ask('/metrics').catch((error: Error) => error)
      if (isOver) return
      const scrape = readScrape(answer, at, now())
      all.push(scrape)
      if (scrape.failed === undefined) last = scrape
      await sleep(Math.max(0, at + interval - now()))
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
  return {
    ...{ at, end, failed },
    processes: sumOf(text, 'multigate_processes'),
    replaced: sumOf(text, 'multigate_processes_replaced_total'),
    plansUnstored: sumOf(text, 'multigate_plan_unstored'),
    linesDropped: sumOf(text, 'multigate_log_lines_dropped_total'),
    clockAhead: (date - Date.now()) / 1000,
  }
}

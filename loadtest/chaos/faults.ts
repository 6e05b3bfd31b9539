import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultEvent, Loss } from './accounts.ts'
import type { Changes } from './changes.ts'
import type { SettableClock } from './clock.ts'
import { longestReading } from './console.ts'
import type { Disk } from './disk.ts'
import type { HostileClients, HostileReport } from './hostile.ts'
import type { PlannedFault } from './plan.ts'
import { clientPortsOf, stateOf } from './processes.ts'
import type { Publisher } from './publish.ts'
import type { Scraper } from './scrapes.ts'
import { type ChaosServer, processCount } from './server.ts'

/** The tools that faults need. Disks and the clock are undefined where this machine has none. */
export interface FaultTools {
  now(): number
  server: ChaosServer
  scraper: Scraper
  publisher: Publisher
  /** Models are changed until that is stopped. */
  startChanges(): Changes
  /** Asks the administration port; resolves with its status. */
  probe(): Promise<number>
  hostile: HostileClients
  cacheDisk: Disk | undefined
  logDisk: Disk | undefined
  clock: SettableClock | undefined
  /** Folder of mortal-thread.ts. */
  mortal: string
}

export interface FaultLog {
  events: FaultEvent[]
  losses: Loss[]
  /** Steps that did not go as they should. */
  wrong: string[]
  /** Kinds that this machine can't make, and why. */
  skipped: Map<PlannedFault['kind'], string>
  hostile: HostileReport[]
}

/** Longest time until the service has recovered, or a thread has died, ms. */
const patience = 45_000
/** Changes of models go on for up to this long before a process is killed, ms. */
const longestHeadStart = 400
/** Longest time for a connection to be on its way, ms. */
const longestProbe = 300
/** Clocks jump by this, s. */
const jumps = [3600, -3600, 86_400, -86_400]

/** Makes a planned fault and resolves when the service has recovered from it; adds to the log what happened. */
export async function makeFault(fault: PlannedFault, tools: FaultTools, log: FaultLog): Promise<void> {
  const { now } = tools
  const event: FaultEvent = { kind: fault.kind, at: now(), end: Number.POSITIVE_INFINITY, what: '' }
  log.events.push(event)
  try {
    event.what = await makers[fault.kind](fault, tools, log, event)
  } catch (error) {
    if (error instanceof Impossible) {
      log.skipped.set(fault.kind, error.message)
      log.events.splice(log.events.indexOf(event), 1)
    } else log.wrong.push(`${fault.kind} at ${Math.round(event.at / 1000)} s: ${(error as Error).message}`)
  }
  event.end = now()
}

/** A fault that can't be made on this machine. */
class Impossible extends Error {}

type Maker = (fault: PlannedFault, tools: FaultTools, log: FaultLog, event: FaultEvent) => Promise<string>

const makers: Record<PlannedFault['kind'], Maker> = {
  swap: ({ way }, { publisher }) => publisher.swap(way!),

  // The arrivals have it.
  async burst({ seconds }) {
    await sleep(seconds * 1000)
    return 'three times as many requests'
  },

  async 'hostile clients'({ seconds }, { hostile }, log) {
    const { stop } = hostile.play()
    await sleep(seconds * 1000)
    const report = await stop()
    log.hostile.push(report)
    return `${report.cases} requests of the fuzz test`
  },

  async 'killed thread'({ draw }, tools, log) {
    const { server, mortal, now } = tools
    const pid = pick(server.serving(), draw)
    const wish = join(mortal, String(pid))
    writeFileSync(wish, '')
    const receipt = `${wish}.died`
    await until(() => existsSync(receipt) || stateOf(pid) === undefined, `a thread of process ${pid} does not die`)
    if (!existsSync(receipt)) return `process ${pid} ended before its thread`
    const died = BigInt(readFileSync(receipt, 'utf8'))
    // The monotonic clock of all processes; both clocks are read together, since what lies between may take its time.
    const at = now() - Number(process.hrtime.bigint() - died) / 1e6
    renameSync(receipt, `${receipt}.seen`)
    log.losses.push({ kind: 'killed thread', pid, at, until: at, ports: new Set() })
    return `a worker thread of process ${pid} exits in a call`
  },

  async 'killed process'({ draw }, tools, log, event) {
    const { server, scraper, now, startChanges, probe } = tools
    await untilAllReady(tools)
    const replaced = scraper.last!.replaced
    const pid = pick(server.serving(), draw)
    const changes = startChanges()
    let made = 0
    let ports = new Set<number>()
    try {
      await sleep(draw * longestHeadStart)
      // It stands still while the kernel is asked for its connections.
      event.at = now()
      process.kill(pid, 'SIGSTOP')
      ports = clientPortsOf(pid, server.port)
      // Connections come in turn: when one of these is answered, another is on its way to the process that stands
      // still.
      await Promise.race([...[1, 2].map(() => probe().catch(() => undefined)), sleep(longestProbe)])
      const at = now()
      process.kill(pid, 'SIGKILL')
      const loss: Loss = { kind: 'killed process', pid, at, until: at, ports }
      log.losses.push(loss)
      // The kernel closes its connections when the last thread has ended: threads of low priority need a core for that,
      // too.
      await until(() => stateOf(pid) === undefined, `process ${pid} does not end`)
      loss.until = now()
      await until(
        () => scraper.last!.replaced > replaced && scraper.last!.processes === processCount,
        `process ${pid} is not replaced`,
      )
    } finally {
      made = await changes.stop()
    }
    return `process ${pid}, with ${ports.size} connections, is killed during ${made} changes of models`
  },

  async 'frozen process'({ draw, seconds }, tools, log, event) {
    const { server, now } = tools
    await untilAllReady(tools)
    // The console has to have seen it ready: one that starts may stand still.
    await sleep(longestReading)
    const pid = pick(server.serving(), draw)
    event.at = now()
    process.kill(pid, 'SIGSTOP')
    const ports = clientPortsOf(pid, server.port)
    await sleep(seconds * 1000)
    const state = stateOf(pid)
    process.kill(pid, 'SIGCONT')
    log.losses.push({ kind: 'frozen process', pid, at: event.at, until: now(), ports })
    if (state !== 'T') throw new Error(`process ${pid} was in state ${state}, not stopped`)
    return `process ${pid}, with ${ports.size} connections, stands still for ${((now() - event.at) / 1000).toFixed(1)} s`
  },

  async 'full plan cache'({ seconds }, { cacheDisk, publisher, scraper, now }) {
    if (cacheDisk === undefined) throw new Impossible('no file system can be mounted here')
    const began = now()
    cacheDisk.fill()
    try {
      const swapped = await publisher.swap('appears')
      await until(
        () => scraper.all.some(({ at, plansUnstored }) => at >= began && plansUnstored > 0),
        'multigate_plan_unstored does not report the full disk',
      )
      await sleep(Math.max(0, began + seconds * 1000 - now()))
      return `no byte is free while ${swapped}`
    } finally {
      cacheDisk.empty()
    }
  },

  async 'full log disk'({ seconds }, { logDisk, scraper, now }) {
    if (logDisk === undefined) throw new Impossible('no file system can be mounted here')
    const before = scraper.last!.linesDropped
    const began = now()
    logDisk.fill()
    try {
      await sleep(seconds * 1000)
      const dropped = () => Math.max(...scraper.all.filter(({ at }) => at >= began).map((one) => one.linesDropped))
      await until(() => dropped() > before, 'multigate_log_lines_dropped_total does not report the full disk')
      return `no byte is free: ${dropped() - before} log lines are dropped`
    } finally {
      logDisk.empty()
    }
  },

  async 'clock jump'({ seconds, draw }, { clock, scraper, now }) {
    if (clock === undefined) throw new Impossible('libfaketime is not installed (Debian: faketime)')
    const by = jumps[Math.floor(draw * jumps.length)]!
    const began = now()
    clock.set(by)
    try {
      await sleep(seconds * 1000)
      await until(
        () => scraper.all.some(({ at, clockAhead }) => at >= began && Math.abs(clockAhead - by) < 10),
        'the header Date does not follow the clock',
      )
      return `the wall clock jumps by ${by > 0 ? '+' : '−'}${Math.abs(by) / 3600} h and back`
    } finally {
      clock.set(0)
    }
  },
}

function pick<T>(all: readonly T[], draw: number): T {
  const one = all[Math.floor(draw * all.length)]
  if (one === undefined) throw new Error('no process serves')
  return one
}

/** At least one process must be left to answer. */
async function untilAllReady({ scraper, now }: FaultTools): Promise<void> {
  const since = now()
  await until(
    () => scraper.last !== undefined && scraper.last.at >= since && scraper.last.processes === processCount,
    `${processCount} processes are not ready`,
  )
}

async function until(condition: () => boolean, otherwise: string): Promise<void> {
  const limit = performance.now() + patience
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`${otherwise} within ${patience / 1000} s`)
    await sleep(20)
  }
}

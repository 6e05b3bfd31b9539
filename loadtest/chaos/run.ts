import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { deafViewers } from '../../test/support/hostile-clients.ts'
import { proportionalMemory } from '../multigate.ts'
import type { Call, FaultEvent, Loss } from './accounts.ts'
import { makeCertificates } from './certificates.ts'
import { changedModel, postUntilAnswered, startChanges } from './changes.ts'
import { createSettableClock } from './clock.ts'
import { type ConsoleEvent, followConsole } from './console.ts'
import { type Disk, mountDisk } from './disk.ts'
import { type FaultLog, type FaultTools, makeFault } from './faults.ts'
import { type HostileReport, startHostileClients } from './hostile.ts'
import { startLoad } from './load.ts'
import type { MemorySample } from './memory.ts'
import { type FaultKind, type PlannedFault, planArrivals, planFaults } from './plan.ts'
import { createPublisher, publishedBy } from './publish.ts'
import { type Scrape, startScraping } from './scrapes.ts'
import { type ChaosServer, keys, processCount, startChaosServer } from './server.ts'
import { addVersion, chaosModel, createKnownRequests, type KnownRequest } from './versions.ts'

export interface ChaosOptions {
  /** Length of the load until SIGTERM, s. */
  seconds: number
  swaps: number
  seed: number
  /** Requests per second outside bursts. */
  rate: number
  /** Kinds of faults to make. */
  kinds: readonly FaultKind[]
  /** For tests: changes what is expected, or puts something between clients and server. */
  sabotage?: {
    requests?(requests: KnownRequest[]): void
    /** Answers the port that clients connect to. */
    between?(port: number): Promise<number>
  }
  log(line: string): void
}

/** Everything that a run has seen. */
export interface ChaosRun {
  options: Pick<ChaosOptions, 'seconds' | 'swaps' | 'seed' | 'rate'>
  calls: Call[]
  strangers: string[]
  events: FaultEvent[]
  losses: Loss[]
  scrapes: readonly Scrape[]
  /** The events that the console reported. */
  console: readonly ConsoleEvent[]
  memory: MemorySample[]
  hostile: HostileReport[]
  skipped: Map<FaultKind, string>
  /** Steps of faults and of the shutdown that did not go as they should. */
  wrong: string[]
  /** When SIGTERM came, and when the service had ended, ms. */
  stop: { at: number; end: number; how: number | string }
  /** Longest time for which the generator itself stood still, ms. */
  longestStall: number
  /** The server's log, but for what a full disk took. */
  serverLog: string
}

export const deadline = { deadlineMs: 1000, toleranceMs: 250 }
/** How long the load goes on after SIGTERM, s. */
const afterStop = 4
/** Longest time that the service may need after the last fault, s: the load goes on meanwhile. */
const recovery = 120
/** Longest time until the service has ended after SIGTERM, ms. */
const stopPatience = 15_000
/** Bytes of the disks: room for a few plans, and for the log. */
const diskBytes = 64 * 2 ** 20

/** Faults of one group happen one after the other. */
const groups: Partial<Record<FaultKind, string>> = { 'killed process': 'processes', 'frozen process': 'processes' }

export async function runChaos(options: ChaosOptions): Promise<ChaosRun> {
  const folder = await mkdtemp(join(tmpdir(), 'multigate-chaos-'))
  const disks: (Disk | undefined)[] = []
  try {
    return await runIn(folder, disks, options)
  } finally {
    for (const disk of disks) disk?.unmount()
    await rm(folder, { recursive: true, force: true })
  }
}

async function runIn(folder: string, disks: (Disk | undefined)[], options: ChaosOptions): Promise<ChaosRun> {
  const { seconds, seed, rate, log } = options
  const plan = planFaults(seconds, options.swaps, seed).filter(({ kind }) => options.kinds.includes(kind))
  const paths = Object.fromEntries(
    ['models', 'staging', 'cache', 'log', 'mortal'].map((name) => [name, join(folder, name)]),
  ) as Record<'models' | 'staging' | 'cache' | 'log' | 'mortal', string>
  for (const path of Object.values(paths)) await mkdir(path)
  const { requests, versions } = await prepareVersions(paths, plan, seed, log)
  options.sabotage?.requests?.(requests)
  const certificates = await makeCertificates(folder)
  const cacheDisk = await mountDisk(paths.cache, diskBytes)
  const logDisk = await mountDisk(paths.log, diskBytes)
  disks.push(cacheDisk, logDisk)
  const clock = createSettableClock(join(folder, 'clock'))
  const logFile = join(paths.log, 'log')
  log('starting the server')
  const server = await startChaosServer({
    ...{ models: paths.models, folder, cache: paths.cache, log: logFile, certificates },
    env: {
      ...clock?.env,
      MORTAL_THREADS: paths.mortal,
      NODE_OPTIONS: `--import ${new URL('./mortal-thread.js', import.meta.url)}`,
    },
  })
  const { port } = server
  const { authority } = certificates
  const hostile = await startHostileClients({ port, authority, key: keys.hostile, models: paths.models, seed })
  try {
    const start = performance.now()
    const now = () => performance.now() - start
    const scraper = startScraping(server, now)
    const watched = followConsole(server, now)
    const load = await startLoad({
      port: (await options.sabotage?.between?.(port)) ?? port,
      ...{ serverPort: port, authority, requests, deadline, now, serving: server.serving },
      arrivals: planArrivals(rate, seconds + recovery + afterStop, plan, seed).map((ms) => ms + now()),
    })
    const memory = startWatchingMemory(server, now, () => scraper.last?.processes === processCount)
    const faults: FaultLog = { events: [], losses: [], wrong: [], skipped: new Map(), hostile: [] }
    const post = (path: string) => postUntilAnswered(server, path)
    const { models, staging, mortal } = paths
    const publisher = createPublisher({ staging, models, versions, now, seen: load.seen, post })
    const tools: FaultTools = {
      ...{ now, server, scraper, publisher, hostile, cacheDisk, logDisk, clock, mortal },
      startChanges: () => startChanges(server),
      probe: () => server.ask('/livez').then(({ status }) => status),
    }
    await makeFaults(plan, (fault) => {
      log(`${fault.kind}${fault.way === undefined ? '' : `: a version is ${fault.way}`}`)
      return makeFault(fault, tools, faults)
    })
    await sleep(Math.max(0, seconds * 1000 - now()))
    await scraper.stop()
    const console = await watched.stop()
    memory.stop()
    // They are there as the service stops. Documents of 68 kB: few connections, whose answers delay others hardly.
    const deaf = deafViewers(server.dial, '/models/ads-funnel/versions/1/evaluation', [56, 60, 64])
    await Promise.all(deaf.map((socket) => once(socket, 'secureConnect')))
    log('SIGTERM')
    load.serverStops()
    const ended = load.end(now() + afterStop * 1000)
    const stop = await stopServer(server, now)
    await ended
    for (const socket of deaf) socket.destroy()
    if (stop.how !== 0) faults.wrong.push(`the service ended with ${stop.how} after SIGTERM, not 0`)
    const { calls, strangers, longestStall } = load
    return {
      options,
      calls,
      strangers,
      ...faults,
      scrapes: scraper.all,
      console,
      memory: memory.samples,
      stop,
      longestStall,
      serverLog: await readFile(logFile, 'utf8'),
    }
  } finally {
    hostile.end()
    await server.stop()
  }
}

/** Writes all versions that will be published, and the requests with what each version must answer. */
async function prepareVersions(
  { models, staging }: { models: string; staging: string },
  plan: readonly PlannedFault[],
  seed: number,
  log: ChaosOptions['log'],
) {
  const ways = plan.flatMap(({ way }) => way ?? [])
  const more = plan.filter(({ kind }) => kind === 'full plan cache').length
  const versions = Array.from({ length: 1 + publishedBy(ways) + more }, (_, i) => String(i + 1))
  log(`writing ${versions.length} versions`)
  const requests = createKnownRequests(seed)
  await mkdir(join(models, chaosModel.name))
  for (const version of versions)
    await addVersion(requests, version === '1' ? join(models, chaosModel.name) : staging, version)
  for (const name of ['ads-funnel', changedModel]) {
    const shipped = fileURLToPath(new URL(`../../../models/${name}`, import.meta.url))
    await cp(shipped, join(models, name), { recursive: true })
  }
  return { requests: requests as KnownRequest[], versions }
}

/** Makes each fault at its time; resolves when the service has recovered from all. */
async function makeFaults(plan: readonly PlannedFault[], make: (fault: PlannedFault) => Promise<void>): Promise<void> {
  const start = performance.now()
  const last = new Map<string, Promise<void>>()
  await Promise.all(
    plan.map(async (fault) => {
      await sleep(Math.max(0, fault.at * 1000 - (performance.now() - start)))
      const group = groups[fault.kind] ?? fault.kind
      const done = (last.get(group) ?? Promise.resolve()).then(() => make(fault))
      last.set(group, done)
      await done
    }),
  )
}

function startWatchingMemory(server: ChaosServer, now: () => number, isWhole: () => boolean) {
  const samples: MemorySample[] = []
  const timer = setInterval(async () => {
    const [at, whole] = [now(), isWhole()]
    // Processes that have ended count nothing.
    const read = (pid: number) => proportionalMemory(pid).catch(() => ({ all: 0 }))
    const parts = await Promise.all([server.leader, ...server.serving()].map(read))
    samples.push({ at, bytes: parts.reduce((sum, { all }) => sum + all, 0), whole })
  }, 1000)
  return { samples, stop: () => clearInterval(timer) }
}

async function stopServer(server: ChaosServer, now: () => number): Promise<ChaosRun['stop']> {
  const at = now()
  process.kill(server.leader, 'SIGTERM')
  const how = await Promise.race([server.ended, sleep(stopPatience, 'nothing within 15 s', { ref: false })])
  return { at, end: now(), how }
}

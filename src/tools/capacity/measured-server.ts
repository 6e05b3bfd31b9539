import { readFile, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serverArgv } from '../../app/v8-flags.ts'
import { systemClock } from '../../base/clock.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import { tablesFolder } from '../../model/serving/tables/table-folder.ts'
import { startServing, untilReady } from '../load/serving.ts'

/** A server process under measurement, which serves one model. */
export interface MeasuredServer {
  url: string
  usage(): Promise<Usage>
  stop(): Promise<void>
}

/** Counts since the server's start, of all its processes. */
export interface Usage {
  /** When they were read, ms. */
  at: number
  processorSeconds: number
  /** Processor time of the main threads, which run the event loops. */
  eventLoopSeconds: number
  /** Engine calls, and the requests that they held. */
  calls: number
  callRequests: number
  cacheHits: number
  cacheMisses: number
  cacheBytes: number
  cacheEntries: number
}

export interface MeasuredServerOptions {
  models: string
  model: string
  /** Further settings, by their variables. */
  settings?: Readonly<Record<string, string>>
  /** Command that starts the server, such as `taskset -c 0`. */
  wrapper?: readonly string[]
}

/** So that the load generator needs no keys, and nothing but the model takes processor time. */
const fixed = {
  MULTIGATE_HOST: '127.0.0.1',
  MULTIGATE_PORT: '0',
  MULTIGATE_ADMIN_PORT: '0',
  MULTIGATE_ADMIN: 'false',
  MULTIGATE_KEYS: '',
  MULTIGATE_OPEN: '',
  MULTIGATE_TLS_CERT: '',
  MULTIGATE_TLS_KEY: '',
  MULTIGATE_TLS_CLIENT_CA: '',
  MULTIGATE_REQUIRED_MODELS: '',
  MULTIGATE_VERSIONS: 'latest',
  MULTIGATE_POLL_SECONDS: '0',
  MULTIGATE_DRAIN_DELAY_MS: '0',
  // It says where it listens.
  MULTIGATE_LOG_LEVEL: 'info',
  MULTIGATE_LOG_REQUESTS: 'false',
}

/**
 * Starts the server as `npm start` does, with this model alone; other MULTIGATE_… variables of the environment apply.
 */
export async function startMeasuredServer(options: MeasuredServerOptions): Promise<MeasuredServer> {
  const { models, model, settings = {}, wrapper = [] } = options
  const folder = await makeTemporaryFolder('capacity')
  try {
    // Where there are no tables, the link leads nowhere, which is the same.
    for (const name of [model, tablesFolder]) await symlink(resolve(models, name), join(folder, name), 'dir')
    const env = {
      ...process.env,
      ...fixed,
      MULTIGATE_MODELS: folder,
      MULTIGATE_DEFAULT_MODEL: model,
      ...settings,
    }
    const script = fileURLToPath(new URL('../../main.js', import.meta.url))
    const child = await startServing(script, [], env, serverArgv([]), wrapper)
    const stop = async () => {
      await child.stop()
      await rm(folder, { recursive: true, force: true })
    }
    try {
      await untilReady(child.url)
    } catch (error) {
      await stop()
      throw error
    }
    return { url: child.url, usage: () => readUsage(child.url, child.process.pid!), stop }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function readUsage(url: string, pid: number): Promise<Usage> {
  const text = await (await fetch(new URL('/metrics', url))).text()
  const sum = (name: string) => sumOf(text, name)
  return {
    at: systemClock.now(),
    processorSeconds: sum('process_cpu_seconds_total'),
    // Where the system does not count by thread, the time that the event loop was busy, waiting for a core included.
    eventLoopSeconds: (await mainThreadSeconds(pid)) ?? sum('multigate_event_loop_busy_seconds_total'),
    calls: sum('multigate_batch_requests_count'),
    callRequests: sum('multigate_batch_requests_sum'),
    cacheHits: sum('multigate_candidate_cache_hits_total'),
    cacheMisses: sum('multigate_candidate_cache_misses_total'),
    cacheBytes: sum('multigate_candidate_cache_bytes'),
    cacheEntries: sum('multigate_candidate_cache_entries'),
  }
}

/** The sum of a metric over all its labels. */
export function sumOf(text: string, name: string): number {
  let sum = 0
  for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{[^\\n]*\\})? (\\S+)`, 'gm'))) sum += Number(value)
  return sum
}

/**
 * Processor time of the main threads of a process and its children so far, s; undefined where Linux does not count it.
 */
export async function mainThreadSeconds(pid: number): Promise<number | undefined> {
  try {
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1')).trim()
    const pids = [String(pid), ...(children === '' ? [] : children.split(/\s+/))]
    // The first number is the time on a processor, ns (proc_pid_schedstat).
    const stats = await Promise.all(pids.map((id) => readFile(`/proc/${id}/task/${id}/schedstat`, 'latin1')))
    return stats.reduce((sum, stat) => sum + Number(stat.split(' ')[0]) / 1e9, 0)
  } catch {
    return undefined
  }
}

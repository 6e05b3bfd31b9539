import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serverArgv } from '../src/app/v8-flags.ts'
import type { Bundle } from '../src/model/serving/bundle/read.ts'
import { readBundle } from '../src/model/serving/version/read-version.ts'
import { sumOf } from '../src/tools/capacity/measured-server.ts'
import { type ServingChild, startServing, untilReady } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'
import { withServers } from './experiment.ts'

/** The shipped models. */
export const shipped = join(import.meta.dirname, '../../models')

/** A version of a shipped model. */
export const readShipped = (name: string): Promise<Bundle> => readBundle(shipped, name, '1')

export interface ServerOptions {
  /** Folder of models. */
  models: string
  /** Variables of further settings. */
  settings?: Readonly<Record<string, string>>
  /** Entry of another build. */
  script?: string | undefined
  /** Command that starts it, such as `taskset -c 0`. */
  wrapper?: readonly string[]
}

/** A server process that is ready. */
export interface Multigate extends ServingChild {
  pid: number
  /** From the start of the process until it listened, and until it was ready, s. */
  listening: number
  ready: number
}

/** Longest time until it is ready, ms: a first start compiles hundreds of models, or reads a table of gigabytes. */
const patience = 3_600_000

/** Starts the server as `npm start` does, on a free port; other MULTIGATE_… variables of the environment apply. */
export async function startMultigate(options: ServerOptions): Promise<Multigate> {
  const { models, settings, script = main, wrapper = [] } = options
  const env = {
    ...process.env,
    ...{ MULTIGATE_HOST: '127.0.0.1', MULTIGATE_PORT: '0', MULTIGATE_MODELS: models, MULTIGATE_DRAIN_DELAY_MS: '0' },
    // It says where it listens.
    MULTIGATE_LOG_LEVEL: 'info',
    ...settings,
  }
  const started = performance.now()
  const seconds = () => (performance.now() - started) / 1000
  const child = await startServing(script, [], env, serverArgv([]), wrapper)
  const listening = seconds()
  try {
    await untilReady(child.url, patience)
    return { ...child, pid: child.process.pid!, listening, ready: seconds() }
  } catch (error) {
    await child.stop()
    throw error
  }
}

/** Starts a server for some work, and stops it. */
export function withMultigate<T>(options: ServerOptions, use: (server: Multigate) => Promise<T>): Promise<T> {
  return withServers([() => startMultigate(options)], ([server]) => use(server!))
}

/** The metrics of a server: the sum of one over its labels, 0 without it. `name` is a regular expression. */
export async function readMetrics(base: string | URL): Promise<(name: string) => number> {
  const text = await (await fetch(new URL('/metrics', base))).text()
  return (name) => sumOf(text, name)
}

/** Resident memory of a server, bytes. */
export const residentBytes = async (base: string) => (await readMetrics(base))('process_resident_memory_bytes')

/** Proportional set size, bytes: pages with several mappings count once. `files`: the part of mapped files. */
export async function proportionalMemory(pid: number): Promise<{ all: number; files: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
  return { all: read('Pss'), files: read('Pss_File') }
}

/** Does some work; the share of candidates that were cached meanwhile, undefined where none was looked up. */
export async function withHitRate<T>(base: URL, work: () => Promise<T>): Promise<T & { hitRate: number | undefined }> {
  const before = await readMetrics(base)
  const result = await work()
  const after = await readMetrics(base)
  const [hits, misses] = ['hits', 'misses']
    .map((kind) => `multigate_candidate_cache_${kind}_total`)
    .map((name) => after(name) - before(name)) as [number, number]
  return { ...result, hitRate: hits + misses > 0 ? hits / (hits + misses) : undefined }
}

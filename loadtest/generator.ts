import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../src/base/clock.ts'
import { createConnections } from '../src/tools/load/connections.ts'
import { type OpenLoopResult, poissonSchedule, type Reply, runOpenLoop } from '../src/tools/load/open-loop.ts'
import { readRequests } from './request-file.ts'

export interface GeneratorOptions {
  /** Target of the POST requests. */
  url: string
  headers: Record<string, string>
  /** Path of a file of requests (request-file.ts). */
  file: string
  /** Index of the run's first request. */
  start: number
  /** Requests per second. */
  rate: number
  seconds: number
  seed: number
  deadlineMs: number
  /** Longest wait for answers after the last request, ms. */
  graceMs: number
  connections: number
  /** Whether the result has every answer with status 200. */
  listAnswers?: boolean
}

/** Answers with status 200, in the order of arrival. */
export interface Answers {
  /** When each request was due, ms since 1970. */
  due: Float64Array
  /** From then until the answer, ms. */
  latency: Float64Array
}

export interface GeneratorResult extends OpenLoopResult {
  answers?: Answers
  /** Cores used by the generator: CPU time ÷ time. */
  generatorCores: number
  /** CPU time of its process, s. */
  generatorSeconds: number
  /** Time to the answer of a single request on a new connection after the run, ms. */
  lone: { ms: number; status: number | undefined }
}

/** Time for the server to accept the open connections, ms. */
const acceptMs = 300
/** Timeout of the single request, ms. */
const lonePatience = 5000
/** Higher priority than the server's, if the system allows it: a late generator measures itself. */
const priority = -10

/**
 * Runs an open loop in a separate process, so that nothing else delays it, with a higher priority than the server if
 * the system allows it (`raised`).
 */
export async function generate(options: GeneratorOptions): Promise<GeneratorResult & { raised: boolean }> {
  const child = fork(fileURLToPath(import.meta.url), [], { serialization: 'advanced' })
  const raised = raise(child.pid!)
  child.send(options)
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the generator ended with ${code}`)
    }),
  ])) as [GeneratorResult]
  child.disconnect()
  return { ...message, raised }
}

/** How the requests of a run ended, for its log. */
export function outcomesOf({ good, late, rejected, failed, noConnection, reasons }: OpenLoopResult): string {
  const why = reasons.length > 0 ? ` (${reasons.join(', ')})` : ''
  return `${good} good, ${late} late, ${rejected} rejected, ${failed} failed, ${noConnection} without connection${why}`
}

/** Open loops with the same requests for predictions and the same deadline, from one request of the file on each. */
export function loadOf(base: string | URL, file: string, load: Pick<GeneratorOptions, 'rate' | 'seed' | 'deadlineMs'>) {
  const url = new URL('/predict', base).href
  const headers = { 'x-deadline-ms': String(load.deadlineMs) }
  return (start: number, seconds: number, listAnswers = false) =>
    generate({ url, headers, file, start, seconds, ...load, graceMs: 2000, connections: 256, listAnswers })
}

function raise(pid: number): boolean {
  try {
    setPriority(pid, priority)
    return true
  } catch {
    return false
  }
}

async function run({ url, headers, file, start, ...options }: GeneratorOptions): Promise<GeneratorResult> {
  const { hostname: host, port, pathname } = new URL(url)
  const requests = readRequests(await readFile(file), pathname, headers)
  const connections = createConnections({ host, port: Number(port || 80), requests, limit: options.connections })
  const schedule = poissonSchedule(options.rate, options.seconds, options.seed)
  await connections.openAll()
  // The system reports them as open before the server accepts them.
  await setTimeout(acceptMs)
  const started = performance.now()
  const cpu = process.cpuUsage()
  const origin = performance.timeOrigin + systemClock.now()
  const indexes: number[] = []
  const latencies: number[] = []
  const result = await runOpenLoop({
    schedule,
    transport: { send: (index, done) => connections.send(start + index, done) },
    clock: systemClock,
    deadlineMs: options.deadlineMs,
    graceMs: options.graceMs,
    ...(options.listAnswers && {
      onAnswer(index, latency) {
        indexes.push(index)
        latencies.push(latency)
      },
    }),
  })
  const { user, system } = process.cpuUsage(cpu)
  const generatorCores = (user + system) / 1000 / (performance.now() - started)
  // Closing a thousand connections first would delay the result.
  const lone = await askAlone(host, Number(port || 80), requests[0]!)
  connections.destroy()
  const all = process.cpuUsage()
  const answers = {
    due: Float64Array.from(indexes, (index) => origin + schedule[index]!),
    latency: Float64Array.from(latencies),
  }
  return {
    ...result,
    generatorCores,
    generatorSeconds: (all.user + all.system) / 1e6,
    lone,
    ...(options.listAnswers && { answers }),
  }
}

async function askAlone(host: string, port: number, request: Buffer): Promise<GeneratorResult['lone']> {
  const connections = createConnections({ host, port, requests: [request], limit: 1 })
  await connections.openAll()
  const started = performance.now()
  const reply = await Promise.race([
    new Promise<Reply>((resolve) => connections.send(0, resolve)),
    setTimeout(lonePatience, { error: 'no answer' } as Reply, { ref: false }),
  ])
  const ms = performance.now() - started
  connections.destroy()
  return { ms, status: 'status' in reply ? reply.status : undefined }
}

// Forked by `generate`.
if (process.argv[1] === fileURLToPath(import.meta.url) && process.send)
  process.once('message', async (options) => {
    process.send!(await run(options as GeneratorOptions))
  })

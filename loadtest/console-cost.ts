// Measures what the console costs a server: switched off, on, and on with viewers.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../src/base/arrays.ts'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { createQueries, toBody } from './bodies.ts'
import { post } from './clients.ts'
import { runClosedLoop } from './closed-loop.ts'
import { experiment, inTurns, type Log, temporaryFolder, withServers } from './experiment.ts'
import { decimal, table, whole } from './markdown.ts'
import { type Multigate, readShipped, shipped, startMultigate } from './multigate.ts'

const connections = 16

/** Seconds after the start in which the garbage collector returns the memory that loading took. */
const settling = 60

/** CPU time, ms per second: of the thread of the event loop, and of all threads. */
interface Cpu {
  loop: number
  all: number
}

/** A server in one of three states. */
interface State extends Multigate {
  name: string
  viewers: number
}

interface Settings {
  rounds: number
  seconds: number
}

/** The states and what was measured of them, in the same order. */
interface Measured {
  states: State[]
  /** CPU per second without a request, and with one to every model each second. */
  idle: Cpu[][]
  used: Cpu[][]
  /** Per second: one candidate each, closed loop. */
  requests: number[][]
}

export default experiment({
  description: 'Measure what the console costs a server',
  options: {
    rounds: ['<number>', 'runs of each state, in turns', Number, 5],
    seconds: ['<number>', 'length of a run', Number, 20],
    viewers: ['<number>', 'live streams that are open', Number, 3],
  },
  async run(options, { machine: { date, processor, versions }, log }) {
    const { rounds, seconds, viewers } = options
    const cache = await temporaryFolder()
    const bodies = await bodiesByModel()
    const start = async (name: string, viewers: number, variables = {}) => {
      const server = await startMultigate({ models: shipped, settings: { MULTIGATE_CACHE: cache, ...variables } })
      return { ...server, name, viewers }
    }
    const starts = [
      () => start('off', 0, { MULTIGATE_CONSOLE: 'false' }),
      () => start('on', 0),
      () => start(`on, ${viewers} viewers`, viewers),
    ]
    const { states, idle, used, requests } = await withServers(starts, (states) =>
      measure(states, bodies, options, log),
    )
    const of = (cpu: Cpu[][], key: keyof Cpu) => (i: number) => decimal(median(cpu[i]!.map((run) => run[key])))
    return `# Cost of the console

${date}, ${processor}, Node ${versions.node}. Three servers with the shipped models; medians of ${rounds} rounds of ${seconds} s; CPU at
the same time, requests per second in turns. Threads other than that of the event loop collect garbage now and then, more after a start. Requests per second: one candidate each, one process, ${connections} connections. ${viewers} viewers: live streams that are read. Made by
\`npm run loadtest -- console\`.

${table<number>(
  {
    console: (i) => states[i]!.name,
    'CPU idle, event loop, ms/s': of(idle, 'loop'),
    'all threads': of(idle, 'all'),
    [`CPU with ${bodies.length} requests/s to as many models, event loop, ms/s`]: of(used, 'loop'),
    'all threads, too': of(used, 'all'),
    'requests/s': (i) => whole(median(requests[i]!)),
  },
  [...states.keys()],
)}
`
  },
})

async function measure(states: State[], bodies: string[], options: Settings, log: Log): Promise<Measured> {
  const { rounds, seconds } = options
  log(`${settling} s until the garbage collector has returned what loading left`)
  await sleep(1000 * settling)
  const watching = states.map(watch)
  const idle = await measureCpu('idle', states, rounds, log, () => sleep(1000 * seconds))
  const used = await measureCpu('used', states, rounds, log, (state) => ask(state, bodies, seconds))
  await Promise.all(watching.map((stop) => stop()))
  const requests = await inTurns(states, rounds, async (state, round) => {
    const stop = watch(state)
    const load = { bodies: bodies.slice(0, 1), connections, seconds: Math.min(seconds, 5) }
    const { requestsPerSecond } = await runClosedLoop(new URL('/predict', state.url), load)
    await stop()
    log(`${round + 1}/${rounds}  ${state.name}: ${whole(requestsPerSecond)} requests/s`)
    return requestsPerSecond
  })
  return { states, idle, used, requests }
}

/** A request with one candidate for every model that has fields. */
async function bodiesByModel(): Promise<string[]> {
  const names = await readdir(shipped)
  const bodies = await Promise.all(
    names.map(async (name) => {
      const { manifest } = await readShipped(name).catch(() => ({ manifest: undefined }))
      if (manifest === undefined) return []
      return [toBody(createQueries(manifest.features, 1)(1), 'rows', encoderOf(manifest), { model: name })]
    }),
  )
  return bodies.flat()
}

/** All servers at the same time: what else the machine does burdens them alike. */
async function measureCpu(
  kind: string,
  states: readonly State[],
  rounds: number,
  log: Log,
  work: (state: State) => Promise<unknown>,
): Promise<Cpu[][]> {
  const runs: Cpu[][] = states.map(() => [])
  await sleep(4000)
  for (let round = 0; round < rounds; round++) {
    const all = await Promise.all(states.map((state) => cpuPerSecond(state, () => work(state))))
    for (const [i, cpu] of all.entries()) runs[i]!.push(cpu)
    const figures = all.map(({ loop, all }, i) => `${states[i]!.name}: ${decimal(loop)} (${decimal(all)})`)
    log(`${round + 1}/${rounds}  ${kind}, ms of CPU per second: ${figures.join(', ')}`)
  }
  return runs
}

/** Opens the live streams of a state and reads them, until it is stopped. */
function watch({ url, viewers }: State): () => Promise<unknown> {
  const controller = new AbortController()
  const streams = Array.from({ length: viewers }, async () => {
    const answer = await fetch(new URL('/console/live', url), { signal: controller.signal })
    await answer.body!.pipeTo(new WritableStream())
  })
  return () => {
    controller.abort()
    return Promise.allSettled(streams)
  }
}

/** All bodies each second. */
async function ask({ url }: State, bodies: readonly string[], seconds: number): Promise<void> {
  const until = performance.now() + 1000 * seconds
  while (performance.now() < until) {
    const next = sleep(1000)
    await Promise.all(bodies.map(async (body) => (await post(`${url}/predict`, body)).arrayBuffer()))
    await next
  }
}

/** ms of CPU of the server per second of this work: of all threads, and of that of the event loop. */
async function cpuPerSecond({ pid }: State, work: () => Promise<unknown>): Promise<Cpu> {
  const [before, began] = [await cpuMs(pid), performance.now()]
  await work()
  const [after, seconds] = [await cpuMs(pid), (performance.now() - began) / 1000]
  return { all: (after.all - before.all) / seconds, loop: (after.loop - before.loop) / seconds }
}

/** Linux counts it in ns; threads that have ended are left out. The first thread has the id of the process. */
async function cpuMs(pid: number): Promise<Cpu> {
  const folder = `/proc/${pid}/task`
  const read = async (thread: string) => {
    const text = await readFile(join(folder, thread, 'schedstat'), 'utf8').catch(() => '0')
    return Number(text.split(' ')[0]) / 1e6
  }
  const threads = await Promise.all((await readdir(folder)).map(read))
  return { all: threads.reduce((sum, ms) => sum + ms, 0), loop: await read(String(pid)) }
}

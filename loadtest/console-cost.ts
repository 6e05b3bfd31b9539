// Measures what the console costs a server: switched off, on, and on with viewers.
//   npm run loadtest -- console [--rounds 5] [--seconds 20] [--viewers 3] [--out loadtest/results/console.md]
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { median } from '../src/base/arrays.ts'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { readBundle } from '../src/model/serving/version/read-version.ts'
import { type ServingChild, startServing, untilReady } from '../src/tools/load/serving.ts'
import { createQueries, toBody } from './bodies.ts'
import { runClosedLoop } from './closed-loop.ts'
import { main } from './entries.ts'
import type { Machine } from './machine.ts'
import { decimal, table, whole } from './markdown.ts'

const models = fileURLToPath(new URL('../../models', import.meta.url))
const connections = 16

/** Seconds after the start in which the garbage collector returns the memory that loading took. */
const settling = 60

/** CPU time, ms per second: of the thread of the event loop, and of all threads. */
interface Cpu {
  loop: number
  all: number
}

/** A server in one of three states, and what was measured: medians of `rounds`. */
interface State {
  name: string
  server: ServingChild
  viewers: number
  /** CPU per second without a request, and with one to every model each second. */
  idle: Cpu[]
  used: Cpu[]
  /** One candidate each, closed loop. */
  requests: number[]
}

export async function measureConsole(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const options = new Command('npm run loadtest -- console')
    .description('Measure what the console costs a server')
    .option('--rounds <number>', 'runs of each state, in turns', Number, 5)
    .option('--seconds <number>', 'length of a run', Number, 20)
    .option('--viewers <number>', 'live streams that are open', Number, 3)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ rounds: number; seconds: number; viewers: number; out?: string }>()
  const cache = await mkdtemp(join(tmpdir(), 'multigate-console-'))
  const bodies = await bodiesByModel()
  const states: State[] = []
  try {
    for (const [name, variables, viewers] of [
      ['off', { MULTIGATE_CONSOLE: 'false' }, 0],
      ['on', {}, 0],
      [`on, ${options.viewers} viewers`, {}, options.viewers],
    ] as const)
      states.push({
        name,
        server: await start(cache, variables),
        viewers,
        idle: [],
        used: [],
        requests: [],
      })
    log(`${settling} s until the garbage collector has returned what loading left`)
    await sleep(1000 * settling)
    const watching = states.map(watch)
    await measureCpu('idle', states, options, log, () => sleep(1000 * options.seconds))
    await measureCpu('used', states, options, log, ({ server }) => ask(server, bodies, options.seconds))
    await Promise.all(watching.map((stop) => stop()))
    for (let round = 0; round < options.rounds; round++)
      for (const state of states) {
        await measureRequests(state, bodies.slice(0, 1), options.seconds)
        const { name, requests } = state
        log(`${round + 1}/${options.rounds}  ${name}: ${whole(requests.at(-1)!)} requests/s`)
      }
    const text = report(machine, options, bodies.length, states)
    console.log(text)
    if (options.out) await writeFile(options.out, text)
  } finally {
    await Promise.all(states.map(({ server }) => server.stop()))
    await rm(cache, { recursive: true, force: true })
  }
}

async function start(cache: string, variables: Record<string, string>): Promise<ServingChild> {
  const script = main
  const server = await startServing(script, ['--port', '0', '--models', models], {
    ...process.env,
    MULTIGATE_CACHE: cache,
    ...variables,
  })
  await untilReady(server.url)
  return server
}

/** A request with one candidate for every model that has fields. */
async function bodiesByModel(): Promise<string[]> {
  const names = await readdir(models)
  const bodies = await Promise.all(
    names.map(async (name) => {
      const { manifest } = await readBundle(models, name, '1').catch(() => ({ manifest: undefined }))
      if (manifest === undefined) return []
      return [toBody(createQueries(manifest.features, 1)(1), 'rows', encoderOf(manifest), { model: name })]
    }),
  )
  return bodies.flat()
}

/** All servers at the same time: what else the machine does burdens them alike. */
async function measureCpu(
  kind: 'idle' | 'used',
  states: readonly State[],
  { rounds }: { rounds: number },
  log: (line: string) => void,
  work: (state: State) => Promise<unknown>,
): Promise<void> {
  await sleep(4000)
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      states.map(async (state) => {
        state[kind].push(await cpuPerSecond(state.server, () => work(state)))
      }),
    )
    const figures = states.map((state) => {
      const { loop, all } = state[kind].at(-1)!
      return `${state.name}: ${decimal(loop)} (${decimal(all)})`
    })
    log(`${round + 1}/${rounds}  ${kind}, ms of CPU per second: ${figures.join(', ')}`)
  }
}

/** Opens the live streams of a state and reads them, until it is stopped. */
function watch({ server, viewers }: State): () => Promise<unknown> {
  const controller = new AbortController()
  const streams = Array.from({ length: viewers }, async () => {
    const answer = await fetch(new URL('/console/live', server.url), { signal: controller.signal })
    await answer.body!.pipeTo(new WritableStream())
  })
  return () => {
    controller.abort()
    return Promise.allSettled(streams)
  }
}

const predictOf = ({ url }: ServingChild) => new URL('/predict', url)

/** All bodies each second. */
async function ask(server: ServingChild, bodies: readonly string[], seconds: number): Promise<void> {
  const url = predictOf(server)
  const headers = { 'content-type': 'application/json' }
  const until = performance.now() + 1000 * seconds
  while (performance.now() < until) {
    const next = sleep(1000)
    await Promise.all(bodies.map(async (body) => (await fetch(url, { method: 'POST', headers, body })).arrayBuffer()))
    await next
  }
}

async function measureRequests(state: State, bodies: string[], seconds: number): Promise<void> {
  const stop = watch(state)
  const load = { bodies, connections, seconds: Math.min(seconds, 5) }
  const target = { url: predictOf(state.server), cpuSeconds: async () => 0 }
  state.requests.push((await runClosedLoop(target, load)).requestsPerSecond)
  await stop()
}

/** ms of CPU of the server per second of this work: of all threads, and of that of the event loop. */
async function cpuPerSecond({ process: { pid } }: ServingChild, work: () => Promise<unknown>): Promise<Cpu> {
  const [before, began] = [await cpuMs(pid!), performance.now()]
  await work()
  const [after, seconds] = [await cpuMs(pid!), (performance.now() - began) / 1000]
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

function report(
  { date, processor, versions }: Machine,
  { rounds, seconds, viewers }: { rounds: number; seconds: number; viewers: number },
  count: number,
  states: readonly State[],
): string {
  return `# Cost of the console

${date}, ${processor}, Node ${versions.node}. Three servers with the shipped models; medians of ${rounds} rounds of ${seconds} s; CPU at
the same time, requests per second in turns. Threads other than that of the event loop collect garbage now and then, more after a start. Requests per second: one candidate each, one process, ${connections} connections. ${viewers} viewers: live streams that are read. Made by
\`npm run loadtest -- console\`.

${table<State>(
  {
    console: ({ name }) => name,
    'CPU idle, event loop, ms/s': ({ idle }) => decimal(median(idle.map(({ loop }) => loop))),
    'all threads': ({ idle }) => decimal(median(idle.map(({ all }) => all))),
    [`CPU with ${count} requests/s to as many models, event loop, ms/s`]: ({ used }) =>
      decimal(median(used.map(({ loop }) => loop))),
    'all threads, too': ({ used }) => decimal(median(used.map(({ all }) => all))),
    'requests/s': ({ requests }) => whole(median(requests)),
  },
  states,
)}
`
}

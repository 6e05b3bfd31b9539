// Measures what the console costs a server: switched off, on, and on with viewers.
//   npm run loadtest -- console [--rounds 5] [--seconds 20] [--viewers 3] [--out loadtest/results/console.md]
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { type ServingChild, startServing, untilReady } from '../src/load/serving.ts'
import { median } from '../src/model/base/median.ts'
import { encoderOf } from '../src/model/features/encoder.ts'
import { readBundle } from '../src/model/version/read-version.ts'
import { createQueries, toBody } from './bodies.ts'
import { runClosedLoop } from './closed-loop.ts'
import type { Machine } from './machine.ts'
import { decimal, table, whole } from './markdown.ts'

const models = fileURLToPath(new URL('../../models', import.meta.url))
const connections = 16

/** Seconds after the start in which the garbage collector returns the memory that loading took. */
const settling = 60

/** A server in one of three states, and what was measured: medians of `rounds`. */
interface State {
  name: string
  server: ServingChild
  viewers: number
  /** CPU per second without a request, ms: of the thread of the event loop, and of all threads. */
  idleLoop: number[]
  idle: number[]
  /** CPU of all threads per second with a request to every model each second, ms. */
  used: number[]
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
        idleLoop: [],
        idle: [],
        used: [],
        requests: [],
      })
    log(`${settling} s until the garbage collector has returned what loading left`)
    await sleep(1000 * settling)
    await measureIdle(states, options, log)
    for (let round = 0; round < options.rounds; round++)
      for (const state of states) {
        await measure(state, bodies, options.seconds)
        const { name, used, requests } = state
        log(
          `${round + 1}/${options.rounds}  ${name}: ${decimal(used.at(-1)!)} ms of CPU per second, ${whole(requests.at(-1)!)} requests/s`,
        )
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
  const script = fileURLToPath(new URL('../src/main.js', import.meta.url))
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

/** All servers at the same time: they do next to nothing, and what else the machine does burdens them alike. */
async function measureIdle(
  states: readonly State[],
  { rounds, seconds }: { rounds: number; seconds: number },
  log: (line: string) => void,
): Promise<void> {
  const watching = states.map(watch)
  await sleep(4000)
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      states.map(async ({ server, idle, idleLoop }) => {
        const { all, loop } = await cpuPerSecond(server, () => sleep(1000 * seconds))
        idle.push(all)
        idleLoop.push(loop)
      }),
    )
    const figures = states.map(
      ({ name, idle, idleLoop }) => `${name}: ${decimal(idleLoop.at(-1)!)} (${decimal(idle.at(-1)!)})`,
    )
    log(`${round + 1}/${rounds}  idle, ms of CPU per second: ${figures.join(', ')}`)
  }
  await Promise.all(watching.map((stop) => stop()))
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

async function measure(state: State, bodies: string[], seconds: number): Promise<void> {
  const { server, used, requests } = state
  const stop = watch(state)
  const url = new URL('/predict', server.url)
  await sleep(4000)
  const { all } = await cpuPerSecond(server, async () => {
    const until = performance.now() + 1000 * seconds
    while (performance.now() < until) {
      await Promise.all(
        bodies.map((body) =>
          fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).then((answer) =>
            answer.arrayBuffer(),
          ),
        ),
      )
      await sleep(1000)
    }
  })
  used.push(all)
  const load = { bodies: bodies.slice(0, 1), connections, seconds: Math.min(seconds, 5) }
  const target = { url, cpuSeconds: async () => 0 }
  requests.push((await runClosedLoop(target, load)).requestsPerSecond)
  await stop()
}

/** ms of CPU of the server per second of this work: of all threads, and of that of the event loop. */
async function cpuPerSecond(
  { process: { pid } }: ServingChild,
  work: () => Promise<void>,
): Promise<{ all: number; loop: number }> {
  const [before, began] = [await cpuMs(pid!), performance.now()]
  await work()
  const [after, seconds] = [await cpuMs(pid!), (performance.now() - began) / 1000]
  return { all: (after.all - before.all) / seconds, loop: (after.loop - before.loop) / seconds }
}

/** Linux counts it in ns; threads that have ended are left out. The first thread has the id of the process. */
async function cpuMs(pid: number): Promise<{ all: number; loop: number }> {
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

${date}, ${processor}, Node ${versions.node}. Three servers with the shipped models; medians of ${rounds} rounds of ${seconds} s: idle at the
same time, with requests in turns. Threads other than that of the event loop collect garbage now and then, more after a start. Requests per second: one candidate each, one process, ${connections} connections. ${viewers} viewers: live streams that are read. Made by
\`npm run loadtest -- console\`.

${table<State>(
  {
    console: ({ name }) => name,
    'CPU idle, event loop, ms/s': ({ idleLoop }) => decimal(median(idleLoop)),
    'all threads': ({ idle }) => decimal(median(idle)),
    [`CPU with ${count} requests/s to as many models, ms/s`]: ({ used }) => decimal(median(used)),
    'requests/s': ({ requests }) => whole(median(requests)),
  },
  states,
)}
`
}

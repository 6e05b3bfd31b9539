// Plays hostile clients that read nothing against a server in a container of little memory, while a polite client asks.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { reasonOf } from '../../src/base/errors.ts'
import { askRepeatedly, candidates, context, type Waits } from '../clients.ts'
import { experiment, type Log } from '../experiment.ts'
import type { Machine } from '../machine.ts'
import { table, whole } from '../markdown.ts'
import { type Multigate, readMetrics, startMultigate } from '../multigate.ts'
import type { ValuesOf } from '../options.ts'
import { behaviours } from './behaviours.ts'
import { type Container, createContainer } from './container.ts'
import { drawMemory, type MemoryPoint } from './plot.ts'

const mebibyte = 2 ** 20

/** Containers, MiB, and the connections of hostile clients in each. */
const containers = [
  { mib: 1024, connections: 4500 },
  { mib: 2048, connections: 9000 },
]

/**
 * The promises: the longest wait of a polite client, ms, and the memory that may be in use a minute after all have
 * gone, bytes.
 */
const promised = { wait: 1000, left: 100 * mebibyte, within: 60_000 }

/** The polite client's request, with the longest wait for its answer, ms. */
const polite = {
  body: JSON.stringify({ model: 'ads-funnel', context, candidates: candidates(1) }),
  headers: { 'x-deadline-ms': 60_000 },
  timeout: 35_000,
}
/** Pause between two of its requests, ms. */
const politePause = 20

interface Played {
  behaviour: string
  waits: Waits
  /** Hostile connections that were open together, at most. */
  most: number
  /** Largest use of the container, bytes. */
  peak: number
  /** The server ended. */
  ended: boolean
}

interface Run {
  mib: number
  connections: number
  played: Played[]
  points: MemoryPoint[]
  /** In use by the server's heap and outside it, before and after, bytes; NaN where it has ended. */
  before: number
  after: number
  /** When `after` was within the promise, ms after all had gone. */
  settledMs: number
}

const names = behaviours.map(({ name }) => name)

const options = {
  behaviours: ['<names>', `separated by ";" (${names.join('; ')})`, (text: string) => text.split(';'), names],
  seconds: ['<number>', 'how long each behaves so', Number, 10],
  connections: ['<number>', 'of hostile clients (default: 4,500 and 9,000)', Number],
  models: ['<folder>', 'folder of models, with ads-funnel in it', String, 'models'],
} as const

type Settings = ValuesOf<typeof options>

export default experiment({
  description: 'Play hostile clients that read nothing against a server in containers of 1 and 2 GiB',
  options,
  out: 'also write the results here, and a plot as SVG next to it',
  async run(options, { machine, log, picture }) {
    const runs: Run[] = []
    for (const { mib, connections } of containers) {
      let container: Container
      try {
        container = await createContainer(`multigate-memory-${process.pid}-${mib}`, mib * mebibyte)
      } catch (error) {
        console.log(`skipped: a container of ${mib} MiB can't be made here: ${reasonOf(error)}`)
        continue
      }
      runs.push(await play(container, { mib, connections: options.connections ?? connections }, options, log))
    }
    if (runs.length === 0) return undefined
    const broken = runs.flatMap(brokenPromises)
    return {
      text: toMarkdown(runs, options, machine, picture),
      picture: () => drawMemory(runs),
      failure: broken.length > 0 ? `broken promises:\n${broken.join('\n')}` : undefined,
    }
  },
})

async function play(
  container: Container,
  { mib, connections }: Pick<Run, 'mib' | 'connections'>,
  { behaviours: chosen, seconds, models }: Settings,
  log: Log,
): Promise<Run> {
  const started = performance.now()
  const run: Run = {
    mib,
    connections,
    played: [],
    points: [],
    before: Number.NaN,
    after: Number.NaN,
    settledMs: Number.NaN,
  }
  let server = await start(container, models)
  run.before = await inUse(server)
  let stage = 'start'
  const sampling = setInterval(async () => {
    const bytes = await container.usage()
    run.points.push({ at: (performance.now() - started) / 1000, mib: bytes / mebibyte, stage })
  }, 200)
  for (const behaviour of chosen) {
    if (hasEnded(server)) server = await start(container, models)
    stage = behaviour
    const first = run.points.length
    const { waits, most } = await playOne(server, behaviour, connections, seconds)
    const ended = hasEnded(server)
    const peak = Math.max(0, ...run.points.slice(first).map((point) => point.mib)) * mebibyte
    run.played.push({ behaviour, waits, most, peak, ended })
    log(
      `${mib} MiB, ${behaviour}: ${ended ? 'THE SERVER ENDED, ' : ''}${whole(most)} open, longest wait ${whole(waits.longest)} ms, ${waits.failed} of ${waits.asked} failed, peak ${whole(peak / mebibyte)} MiB`,
    )
  }
  stage = 'after'
  const gone = performance.now()
  for (;;) {
    run.after = await inUse(server).catch(() => Number.NaN)
    run.settledMs = performance.now() - gone
    if (!(run.after - run.before > promised.left) || run.settledMs > promised.within) break
    await sleep(1000)
  }
  log(
    `${mib} MiB: ${whole(run.before / mebibyte)} MiB in use before, ${whole(run.after / mebibyte)} MiB after ${whole(run.settledMs / 1000)} s`,
  )
  clearInterval(sampling)
  await server.stop()
  container.remove()
  return run
}

const hasEnded = ({ process }: Multigate) => process.exitCode !== null || process.signalCode !== null

const start = ({ wrapper }: Container, models: string) =>
  startMultigate({ models, settings: { MALLOC_ARENA_MAX: '2' }, wrapper })

async function playOne(
  { url }: Multigate,
  behaviour: string,
  connections: number,
  seconds: number,
): Promise<Pick<Played, 'waits' | 'most'>> {
  const client = askRepeatedly(new URL('/predict', url), polite, politePause)
  const hostile = fork(fileURLToPath(new URL('./hostile-process.js', import.meta.url)), [new URL(url).port])
  await once(hostile, 'message')
  hostile.send({ play: behaviour, connections })
  await sleep(seconds * 1000)
  hostile.send('pause')
  const [most] = (await once(hostile, 'message')) as [number]
  hostile.disconnect()
  // The work that they have left behind takes its time, too.
  await sleep(2000)
  return { waits: await client.stop(), most }
}

/** In use by the heap, and outside it, bytes. */
async function inUse({ url }: Multigate): Promise<number> {
  const metric = await readMetrics(url)
  return metric('nodejs_heap_size_used_bytes') + metric('nodejs_external_memory_bytes')
}

function brokenPromises({ mib, played, before, after }: Run): string[] {
  const broken = played.flatMap(({ behaviour, waits, ended }) => {
    const where = `${mib} MiB, ${behaviour}`
    if (ended) return [`${where}: the server ended`]
    if (waits.longest > promised.wait) return [`${where}: a polite client waited for ${whole(waits.longest)} ms`]
    return waits.failed > 0 ? [`${where}: ${waits.failed} of ${waits.asked} polite requests failed`] : []
  })
  return after - before <= promised.left
    ? broken
    : [...broken, `${mib} MiB: ${whole((after - before) / mebibyte)} MiB are left in use`]
}

function toMarkdown(
  runs: readonly Run[],
  { seconds }: Settings,
  { date, processor, versions }: Machine,
  picture: string | undefined,
): string {
  return `# Clients that do not read

${date}, ${processor}, Node ${versions.node}. One server with the shipped models and default settings, in a memory cgroup. Hostile
clients, which share its cores, open all their connections at once, send 40 pipelined requests or an endless one on each, read
nothing for ${seconds} s, and come again where they are closed. Meanwhile a polite client asks for a prediction every 20 ms, and must not
wait for more than a second. Made by \`npm run loadtest -- memory\`.
${picture === undefined ? '' : `\n![Memory of the container over time](${picture})\n`}
${runs.map(section).join('\n\n')}
`
}

function section({ mib, connections, played, before, after, settledMs }: Run): string {
  return `## A container of ${mib} MiB, ${whole(connections)} connections

${table<Played>(
  {
    'what they ask for': ({ behaviour }) => behaviour,
    'open together': ({ most }) => whole(most),
    'peak, MiB': ({ peak }) => whole(peak / mebibyte),
    "polite client's longest wait, ms": ({ waits }) => whole(waits.longest),
    'its requests': ({ waits }) => whole(waits.asked),
    failed: ({ waits }) => whole(waits.failed),
    server: ({ ended }) => (ended ? 'ended' : 'serves'),
  },
  played,
)}

In use by the server's heap and outside it: ${whole(before / mebibyte)} MiB before, ${whole(after / mebibyte)} MiB ${whole(settledMs / 1000)} s after all had gone.`
}

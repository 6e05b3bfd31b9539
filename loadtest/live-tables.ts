// Measures deltas of a large live table: time to apply, requests meanwhile, and memory.
//   npm run loadtest -- live-tables [--ids 10000000] [--out loadtest/results/live-tables.md]
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { baseOf } from '../src/model/serving/deltas/delta-file.ts'
import type { Manifest } from '../src/schemas/manifest.ts'
import { type ServingChild, startServing } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'
import { drawBody, placeDelta, prepareDelta, writeLiveVersion } from './live-version.ts'
import type { Machine } from './machine.ts'
import { table } from './markdown.ts'
import { PacedClient, percentile } from './paced-client.ts'

const mebibyte = 2 ** 20
/** Requests of 100 candidates per second, at a steady pace. */
const rate = 100
const bodies = 500

interface Options {
  ids: number
  seconds: number
  workers: number
  out?: string
}

interface Row {
  phase: string
  apply: string
  p50: string
  p99: string
  longest: string
  memory: string
}

/** Applies deltas of several sizes to a served version, and asks it all the time. */
export async function measureLiveTables(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const options = new Command('npm run loadtest -- live-tables')
    .description('Measure deltas of a large live table')
    .option('--ids <number>', 'rows of the table', Number, 10_000_000)
    .option('--seconds <number>', 'length of each phase', Number, 20)
    .option('--workers <number>', 'worker threads', Number, 1)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const folder = await mkdtemp(join(tmpdir(), 'multigate-live-'))
  try {
    const rows: Row[] = []
    for (const live of [false, true]) {
      log(`writing a table of ${options.ids} rows ${live ? 'with' : 'without'} a live field`)
      const models = join(folder, String(live))
      const version = await writeLiveVersion(models, options.ids, { live })
      rows.push(...(await measureVersion(models, version, live, options, log)))
      await rm(models, { recursive: true })
    }
    const text = describe(rows, options, machine)
    console.log(text)
    if (options.out) await writeFile(options.out, text)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureVersion(
  models: string,
  version: string,
  live: boolean,
  options: Options,
  log: (line: string) => void,
): Promise<Row[]> {
  const server = await startServing(main, [], {
    ...process.env,
    MULTIGATE_PORT: '0',
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: join(models, '.cache'),
    MULTIGATE_WORKERS: String(options.workers),
    MULTIGATE_POLL_SECONDS: '0.2',
    // Late answers are measured, not refused.
    MULTIGATE_DEADLINE_MS: '10000',
  })
  try {
    while ((await fetch(`${server.url}/readyz`)).status !== 200) await sleep(50)
    const client = new PacedClient(
      server,
      Array.from({ length: bodies }, () => drawBody(options.ids)),
      rate,
    )
    await client.during(() => sleep(5000))
    const rows: Row[] = []
    const add = async (phase: string, work: () => Promise<string>) => {
      const { result, times } = await client.during(work)
      rows.push({ phase, apply: result, ...percentiles(times), memory: await memoryOf(server) })
      log(JSON.stringify(rows.at(-1)))
    }
    const idle = async () => {
      await sleep(options.seconds * 1000)
      return ''
    }
    if (!live) {
      await add('not live', idle)
      return rows
    }
    await add('live, no delta', idle)
    const manifest = JSON.parse(await readFile(join(version, 'manifest.json'), 'utf8')) as Manifest
    const base = baseOf(manifest)
    let sequence = 0
    for (const [count, deltas] of [
      [1000, 10],
      [100_000, 5],
    ] as const) {
      const name = `${deltas} deltas of ${count.toLocaleString('en')} rows`
      const first = sequence + 1
      for (let i = 0; i < deltas; i++) await prepareDelta(version, base, ++sequence, count, options.ids)
      await add(`while: ${name}`, async () => {
        const seconds: number[] = []
        for (let next = first; next <= sequence; next++) seconds.push(await applyOne(server, version, next))
        return `${format(Math.min(...seconds) * 1000)} … ${format(Math.max(...seconds) * 1000)}`
      })
      await add(`after: ${name}`, idle)
    }
    return rows
  } finally {
    await server.stop()
  }
}

/** Puts a prepared delta in its place and waits until it is in effect; the seconds that applying it took. */
async function applyOne({ url }: ServingChild, version: string, sequence: number): Promise<number> {
  await placeDelta(version, sequence)
  for (;;) {
    const { models } = (await (await fetch(`${url}/models`)).json()) as {
      models: { versions: { deltas: { applied: number; refused: unknown } }[] }[]
    }
    const { applied, refused } = models[0]!.versions[0]!.deltas
    if (refused) throw new Error(JSON.stringify(refused))
    if (applied === sequence) break
    await sleep(20)
  }
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(/^multigate_delta_apply_seconds\{.*\} (\S+)/m.exec(metrics)![1])
}

function percentiles(times: number[]): Pick<Row, 'p50' | 'p99' | 'longest'> {
  const at = (share: number) => format(percentile(times, share))
  return { p50: at(0.5), p99: at(0.99), longest: at(1) }
}

const format = (milliseconds: number) => milliseconds.toFixed(milliseconds < 10 ? 1 : 0)

/** Memory that is the process's own, without the mapped table: that is as large as pages of it have been read. */
async function memoryOf({ process }: ServingChild): Promise<string> {
  const text = await readFile(`/proc/${process.pid}/smaps_rollup`, 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
  return ((read('Pss') - read('Pss_File')) / mebibyte).toFixed(0)
}

function describe(rows: Row[], { ids, workers }: Options, { date, processor, versions }: Machine): string {
  const bytes = Math.round((ids * 16 * 4) / mebibyte)
  return `# Live tables

${date}, ${processor}, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. A live table of ${ids.toLocaleString('en')} ids × 16
(${bytes} MiB), seven other fields; ${workers} worker; ${rate} requests of 100 candidates per second, as JSON. Candidates are random, so that
few are cached. To apply: from reading the file until the worker serves the rows, without the wait for the next scan. Memory: of the
process, without the mapped table. Made by \`npm run loadtest -- live-tables\`.

${table<Row>(
  {
    phase: ({ phase }) => phase,
    'to apply one, ms': ({ apply }) => apply,
    'p50, ms': ({ p50 }) => p50,
    'p99, ms': ({ p99 }) => p99,
    'longest, ms': ({ longest }) => longest,
    'memory, MiB': ({ memory }) => memory,
  },
  rows,
)}
`
}

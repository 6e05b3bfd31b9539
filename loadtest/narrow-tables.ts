// Measures a large table in each format of its rows: bytes, start, requests, and what answers differ by.
//   npm run loadtest -- narrow-tables [--ids 10000000] [--out loadtest/results/narrow-tables.md]
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import type { Manifest } from '../src/schemas/manifest.ts'
import type { ModelDetails } from '../src/schemas/models.ts'
import { type ServingChild, startServing } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'
import { drawBody, writeLiveVersion } from './live-version.ts'
import type { Machine } from './machine.ts'
import { table } from './markdown.ts'
import { PacedClient, percentile, post } from './paced-client.ts'

const mebibyte = 2 ** 20
/** Requests of 100 candidates per second, at a steady pace. */
const rate = 100
const bodies = 500
const quantizationRows = 4096
const formats = ['float32', 'float16', 'int8'] as const
type Format = (typeof formats)[number]

interface Options {
  ids: number
  seconds: number
  rounds: number
  out?: string
}

/** A server with the table in one format. */
interface Served {
  format: Format
  server: ServingChild
  /** From its start until it was ready, s; the plan was compiled, then read from the cache. */
  first: number
  second: number
  /** Bytes of the table's files. */
  bytes: number
  times: number[]
}

interface Row {
  format: Format
  bytes: string
  first: string
  second: string
  mapped: string
  p50: string
  p99: string
  largest: string
  logit: string
}

/** Serves one version with its table in each format, and asks them in turns. */
export async function measureNarrowTables(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const options = new Command('npm run loadtest -- narrow-tables')
    .description('Measure a large table in each format of its rows')
    .option('--ids <number>', 'rows of the table', Number, 10_000_000)
    .option('--seconds <number>', 'length of each turn', Number, 10)
    .option('--rounds <number>', 'turns of each format', Number, 6)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const folder = await mkdtemp(join(tmpdir(), 'multigate-narrow-'))
  const all: Served[] = []
  try {
    log(`writing a table of ${options.ids} rows`)
    const models = join(folder, 'models')
    const version = await writeLiveVersion(models, options.ids, { rows: quantizationRows })
    for (const format of formats) {
      all.push(await serveAs(format, models, version))
      log(`${format}: ready`)
    }
    await takeTurns(all, options, log)
    const rows = await describeAll(all, options.ids)
    const text = describe(rows, options, machine)
    console.log(text)
    if (options.out) await writeFile(options.out, text)
  } finally {
    for (const { server } of all) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Starts a server twice: without a compiled plan, and with it. */
async function serveAs(format: Format, models: string, version: string): Promise<Served> {
  const file = join(version, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  await writeFile(file, JSON.stringify({ ...manifest, tables: format }))
  const first = await start(models)
  await first.server.stop()
  const second = await start(models)
  const { plan, memory } = (await (await fetch(`${second.server.url}/models/ads`)).json()) as ModelDetails
  if (plan?.tables !== format) throw new Error(`not ${format}: ${plan?.notes.join('; ')}`)
  return {
    format,
    server: second.server,
    first: first.seconds,
    second: second.seconds,
    bytes: memory!.tables,
    times: [],
  }
}

async function start(models: string): Promise<{ server: ServingChild; seconds: number }> {
  const started = performance.now()
  const server = await startServing(main, [], {
    ...process.env,
    MULTIGATE_PORT: '0',
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: join(models, '.cache'),
    MULTIGATE_WORKERS: '1',
    // A changed manifest is of the next server.
    MULTIGATE_POLL_SECONDS: '3600',
    MULTIGATE_DEADLINE_MS: '10000',
  })
  while ((await fetch(`${server.url}/readyz`)).status !== 200) await sleep(20)
  return { server, seconds: (performance.now() - started) / 1000 }
}

/**
 * Asks the servers one after the other, so that a busy machine slows all of them equally; the first round is not
 * counted.
 */
async function takeTurns(all: Served[], { ids, seconds, rounds }: Options, log: (line: string) => void): Promise<void> {
  const drawn = Array.from({ length: bodies }, () => drawBody(ids))
  const clients = all.map(({ server }) => new PacedClient(server, drawn, rate))
  for (let round = 0; round <= rounds; round++)
    for (const [i, served] of all.entries()) {
      const { times } = await clients[i]!.during(() => sleep(seconds * 1000))
      if (round > 0) served.times.push(...times)
      log(`round ${round}, ${served.format}: p50 ${percentile(times, 0.5).toFixed(2)} ms`)
    }
}

async function describeAll(all: Served[], ids: number): Promise<Row[]> {
  const asked = Array.from({ length: 200 }, () => drawBody(ids))
  const answers = await Promise.all(all.map(({ server }) => probabilitiesOf(server, asked)))
  const logit = (p: number) => Math.log(p / (1 - p))
  return Promise.all(
    all.map(async ({ format, server, first, second, bytes, times }, i) => {
      const pairs = answers[i]!.map((p, row) => [p, answers[0]![row]!] as const)
      return {
        format,
        bytes: (bytes / mebibyte).toFixed(0),
        first: first.toFixed(1),
        second: second.toFixed(1),
        mapped: await mappedBytes(server),
        p50: percentile(times, 0.5).toFixed(2),
        p99: percentile(times, 0.99).toFixed(1),
        largest: Math.max(...pairs.map(([a, b]) => Math.abs(a - b))).toExponential(1),
        logit: percentile(
          pairs.map(([a, b]) => Math.abs(logit(a) - logit(b))),
          0.99,
        ).toExponential(1),
      }
    }),
  )
}

async function probabilitiesOf({ url }: ServingChild, asked: readonly string[]): Promise<number[]> {
  const all: number[] = []
  for (const body of asked) {
    const { predictions } = (await (await post(`${url}/predict`, body)).json()) as {
      predictions: { ctr: number; cvr: number }[]
    }
    for (const { ctr, cvr } of predictions) all.push(ctr, cvr)
  }
  return all
}

/** Pages of mapped files that have been read, MiB. */
async function mappedBytes({ process }: ServingChild): Promise<string> {
  const text = await readFile(`/proc/${process.pid}/smaps_rollup`, 'utf8')
  const [, kilobytes] = /^Pss_File:\s+(\d+) kB/m.exec(text)!
  return ((Number(kilobytes) * 1024) / mebibyte).toFixed(0)
}

function describe(
  rows: Row[],
  { ids, seconds, rounds }: Options,
  { date, processor, cores, loadBefore, versions }: Machine,
): string {
  return `# Large tables in narrow formats

${date}, ${processor}, ${cores} cores, load ${loadBefore.toFixed(1)} before, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. A table of ${ids.toLocaleString('en')} ids × 16,
seven other fields in it; a server of one worker per format, asked in turns: ${rounds} × ${seconds} s each; ${rate} requests of 100 random
candidates per second, as JSON. First start: with compilation and, for float16 and int8, with the check. Mapped: pages of
all files that were read. Differences: from float32, of 40,000 probabilities, and the 99th percentile of logits. Made by
\`npm run loadtest -- narrow-tables\`.

${table<Row>(
  {
    tables: ({ format }) => format,
    'table, MiB': ({ bytes }) => bytes,
    'first start, s': ({ first }) => first,
    'next start, s': ({ second }) => second,
    'mapped, MiB': ({ mapped }) => mapped,
    'p50, ms': ({ p50 }) => p50,
    'p99, ms': ({ p99 }) => p99,
    'largest \\|Δp\\|': ({ largest }) => largest,
    'p99 \\|Δlogit\\|': ({ logit }) => logit,
  },
  rows,
)}
`
}

// Measures many models, of which some are asked for often, with and without a bound on the memory of their graphs.
//   npm run loadtest -- residency [--models 200] [--rate 150] [--bounds 0,128,64] [--out loadtest/results/residency.md]
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { readBundle } from '../src/model/serving/version/read-version.ts'
import { createDraw, createRandom, zipf } from '../src/tools/data/random.ts'
import { startServing, untilReady } from '../src/tools/load/serving.ts'
import { createQueries, toBody } from './bodies.ts'
import { main } from './entries.ts'
import { type GeneratorResult, generate } from './generator.ts'
import type { Machine } from './machine.ts'
import { copyModels } from './many-models.ts'
import { decimal, table } from './markdown.ts'
import { writeRequests } from './request-file.ts'

const mebibyte = 2 ** 20
const seed = 3
/** More than are computed on the main thread: workers answer them. */
const rows = 100
const exponent = 1
const requests = 20_000
const deadlineMs = 100

interface Run extends GeneratorResult {
  /** Bytes; 0: none. */
  bound: number
  /** Resident memory of the process after the load, bytes. */
  resident: number
  open: number
  reopened: number
  /** The time to open a graph again, s; NaN where none was. */
  reopenSeconds: number
}

export async function measureResidency(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const options = new Command('npm run loadtest -- residency')
    .description('Measure many models with and without a bound on the memory of their graphs')
    .option('--models <number>', 'copies of ads-funnel', Number, 200)
    .option('--rate <number>', 'requests per second', Number, 150)
    .option('--seconds <number>', 'length of a run', Number, 30)
    .option('--bounds <MiB,…>', 'bounds; 0: none', (text) => text.split(',').map(Number), [0, 128, 64])
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ models: number; rate: number; seconds: number; bounds: number[]; out?: string }>()
  const folder = await mkdtemp(join(tmpdir(), 'multigate-residency-'))
  try {
    await copyModels(join(folder, 'models'), options.models)
    await writeRequests(join(folder, 'requests'), await drawRequests(options.models))
    const runs: Run[] = []
    for (const bound of options.bounds) {
      runs.push(await measureBound(folder, bound * mebibyte, options))
      const { reopened, good, scheduled, latency } = runs.at(-1)!
      log(`${bound} MiB: ${good} of ${scheduled} in time, p99 ${decimal(latency.p99)} ms, ${reopened} opened again`)
    }
    const text = report(machine, options, runs)
    console.log(text)
    if (options.out) await writeFile(options.out, text)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function drawRequests(models: number) {
  const { manifest } = await readBundle(fileURLToPath(new URL('../../models', import.meta.url)), 'ads-funnel', '1')
  const encoder = encoderOf(manifest)
  const draw = createQueries(manifest.features, seed)
  const random = createRandom(seed)
  const drawModel = createDraw(zipf(models, exponent))
  return Array.from({ length: requests }, () => ({
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(toBody(draw(rows), 'columns', encoder, { model: `ads-funnel-${drawModel(random)}` })),
  }))
}

async function measureBound(
  folder: string,
  bound: number,
  { rate, seconds }: { rate: number; seconds: number },
): Promise<Run> {
  const script = main
  const server = await startServing(script, ['--port', '0', '--models', join(folder, 'models')], {
    ...process.env,
    MULTIGATE_CACHE: join(folder, 'cache'),
    MULTIGATE_WORKERS: '2',
    MULTIGATE_RESIDENT_BYTES: String(bound),
  })
  try {
    await untilReady(server.url)
    const load = (start: number, seconds: number) =>
      generate({
        url: new URL('/predict', server.url).href,
        headers: { 'x-deadline-ms': String(deadlineMs) },
        file: join(folder, 'requests'),
        ...{ start, rate, seconds, seed, deadlineMs, graceMs: 2000, connections: 256 },
      })
    // V8 compiles, and the graphs that are asked for often are opened.
    await load(0, 5)
    const metrics = async () => {
      const text = await (await fetch(new URL('/metrics', server.url))).text()
      return (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
    }
    const before = await metrics()
    const result = await load(requests / 2, seconds)
    const after = await metrics()
    const grown = (name: string) => after(name) - before(name)
    const reopened = bound === 0 ? 0 : grown('multigate_graph_reopens_total')
    return {
      ...result,
      bound,
      resident: after('process_resident_memory_bytes'),
      open: after('multigate_open_graphs'),
      reopened,
      reopenSeconds: grown('multigate_graph_reopen_seconds_total') / reopened,
    }
  } finally {
    await server.stop()
  }
}

function report(
  { date, processor, versions }: Machine,
  { models, rate, seconds }: { models: number; rate: number; seconds: number },
  runs: readonly Run[],
): string {
  return `# Many models in little memory

${date}, ${processor}, Node ${versions.node}. ${models} copies of \`ads-funnel\`, ${rate} requests/s of ${rows} candidates for ${seconds} s, Poisson
arrivals, the model by Zipf with exponent ${exponent}, a deadline of ${deadlineMs} ms; two workers. Graphs that are not open are opened for their
request. Made by \`npm run loadtest -- residency\`.

${table<Run>(
  {
    'bound, MiB': ({ bound }) => (bound === 0 ? 'none' : String(bound / mebibyte)),
    'resident, MiB': ({ resident }) => (resident / mebibyte).toFixed(0),
    'open graphs': ({ open }) => (Number.isNaN(open) ? 'all' : String(open)),
    'opened again, % of requests': ({ reopened, scheduled }) => decimal((100 * reopened) / scheduled),
    'ms each': ({ reopenSeconds }) => decimal(reopenSeconds * 1000),
    'in time, %': ({ good, scheduled }) => decimal((100 * good) / scheduled),
    'p50, ms': ({ latency }) => decimal(latency.p50),
    'p99, ms': ({ latency }) => decimal(latency.p99),
  },
  runs,
)}
`
}

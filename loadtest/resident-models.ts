// Measures many models, of which some are asked for often, with and without a bound on the memory of their graphs.
import { join } from 'node:path'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { createDraw, createRandom, zipf } from '../src/tools/data/random.ts'
import { createQueries, toBody } from './bodies.ts'
import { experiment, temporaryFolder } from './experiment.ts'
import { type GeneratorResult, loadOf } from './generator.ts'
import { copyModel, namesOf } from './many-models.ts'
import { decimal, mebibytes, table } from './markdown.ts'
import { readMetrics, readShipped, shipped, withMultigate } from './multigate.ts'
import { numbers } from './options.ts'
import { jsonContent, writeRequests } from './request-file.ts'

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

export default experiment({
  description: 'Measure many models with and without a bound on the memory of their graphs',
  options: {
    models: ['<number>', 'copies of ads-funnel', Number, 200],
    rate: ['<number>', 'requests per second', Number, 150],
    seconds: ['<number>', 'length of a run', Number, 30],
    bounds: ['<MiB,…>', 'bounds; 0: none', numbers, [0, 128, 64]],
  },
  async run({ models, rate, seconds, bounds }, { machine: { date, processor, versions }, log }) {
    const folder = await temporaryFolder()
    await copyModel(join(shipped, 'ads-funnel/1'), namesOf(models), join(folder, 'models'))
    await writeRequests(join(folder, 'requests'), await drawRequests(models))
    const runs: Run[] = []
    for (const bound of bounds) {
      const run = await measureBound(folder, bound * mebibyte, rate, seconds)
      runs.push(run)
      const { reopened, good, scheduled, latency } = run
      log(`${bound} MiB: ${good} of ${scheduled} in time, p99 ${decimal(latency.p99)} ms, ${reopened} opened again`)
    }
    return `# Many models in little memory

${date}, ${processor}, Node ${versions.node}. ${models} copies of \`ads-funnel\`, ${rate} requests/s of ${rows} candidates for ${seconds} s, Poisson
arrivals, the model by Zipf with exponent ${exponent}, a deadline of ${deadlineMs} ms; two workers. Graphs that are not open are opened for their
request. Made by \`npm run loadtest -- residency\`.

${table<Run>(
  {
    'bound, MiB': ({ bound }) => (bound === 0 ? 'none' : String(bound / mebibyte)),
    'resident, MiB': ({ resident }) => mebibytes(resident),
    'open graphs': ({ bound, open }) => (bound === 0 ? 'all' : String(open)),
    'opened again, % of requests': ({ reopened, scheduled }) => decimal((100 * reopened) / scheduled),
    'ms each': ({ reopenSeconds }) => decimal(reopenSeconds * 1000),
    'in time, %': ({ good, scheduled }) => decimal((100 * good) / scheduled),
    'p50, ms': ({ latency }) => decimal(latency.p50),
    'p99, ms': ({ latency }) => decimal(latency.p99),
  },
  runs,
)}
`
  },
})

async function drawRequests(models: number) {
  const { manifest } = await readShipped('ads-funnel')
  const encoder = encoderOf(manifest)
  const draw = createQueries(manifest.features, seed)
  const random = createRandom(seed)
  const drawModel = createDraw(zipf(models, exponent))
  return Array.from({ length: requests }, () =>
    jsonContent(toBody(draw(rows), 'columns', encoder, { model: `ads-funnel-${drawModel(random)}` })),
  )
}

function measureBound(folder: string, bound: number, rate: number, seconds: number): Promise<Run> {
  const settings = {
    MULTIGATE_CACHE: join(folder, 'cache'),
    MULTIGATE_WORKERS: '2',
    MULTIGATE_RESIDENT_BYTES: String(bound),
  }
  return withMultigate({ models: join(folder, 'models'), settings }, async ({ url }) => {
    const load = loadOf(url, join(folder, 'requests'), { rate, seed, deadlineMs })
    // V8 compiles, and the graphs that are asked for often are opened.
    await load(0, 5)
    const before = await readMetrics(url)
    const result = await load(requests / 2, seconds)
    const after = await readMetrics(url)
    const grown = (name: string) => after(name) - before(name)
    const reopened = grown('multigate_graph_reopens_total')
    return {
      ...result,
      bound,
      resident: after('process_resident_memory_bytes'),
      open: after('multigate_open_graphs'),
      reopened,
      reopenSeconds: grown('multigate_graph_reopen_seconds_total') / reopened,
    }
  })
}

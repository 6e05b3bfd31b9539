// Measures a catalogue of candidates: the time to make it, its size, and requests of a new server with and without it.
//   npm run loadtest -- catalogue [--ads 1000000] [--precision auto] [--seconds 3] [--rounds 3]
//                                 [--out loadtest/results/catalogue.md]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync, rmSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { Command } from 'commander'
import { serverArgv } from '../src/app/v8-flags.ts'
import { median } from '../src/base/arrays.ts'
import { systemClock } from '../src/base/clock.ts'
import { createUniform, standardNormal } from '../src/base/hash.ts'
import { formatBytes, grouped } from '../src/base/terminal.ts'
import { runClosedLoop } from '../src/tools/load/closed-loop.ts'
import { createConnections } from '../src/tools/load/connections.ts'
import { startServing, untilReady } from '../src/tools/load/serving.ts'
import { defaultCache } from './competitors/arguments.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { cli, main } from './entries.ts'
import type { Machine } from './machine.ts'
import { decimal, table, whole } from './markdown.ts'

const model = referenceModels.prod
const candidatesPerRequest = 100
const connections = 16
/** Ads of the requests to a full cache: few enough for every worker's. */
const recurring = 5000
const contextNames = [
  ...Array.from({ length: model.sparse.context }, (_, i) => `c${i}`),
  ...Array.from({ length: model.dense.context }, (_, i) => `x${i}`),
]
const adNames = [
  ...Array.from({ length: model.sparse.fields - model.sparse.context }, (_, i) => `c${model.sparse.context + i}`),
  ...Array.from({ length: model.dense.fields - model.dense.context }, (_, i) => `x${model.dense.context + i}`),
]

interface Options {
  ads: number
  precision: string
  seconds: number
  rounds: number
  out?: string
}

/** The part of the output of `multigate warm --json` that is reported. */
interface Made {
  rows: number
  precision: string
  bytes: number
  index_bytes: number
  folder: string
  seconds: number
  notes: string[]
  /** Largest resident memory, bytes; only where /proc says so. */
  resident: number
}

interface Run {
  startSeconds: number
  perSecond: number
  cpuMs: number
  /** Share of the computed rows whose candidates were cached, and candidates from the catalogue. */
  cachedShare: number
  hits: number
  failed: number
}

/** A way to serve the model: the folder of plans, and the ads of its requests. */
interface Way {
  title: string
  plans: string
  requests: Buffer[]
  /** The requests are sent once before those that are measured. */
  filled: boolean
  runs: Run[]
}

export async function measureCatalogue(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const options = new Command('npm run loadtest -- catalogue')
    .description('Measure a catalogue of candidates, and requests with and without it')
    .option('--ads <number>', 'candidates', Number, 1_000_000)
    .option('--precision <name>', 'how they are stored: auto, float32, bfloat16 or int8', 'auto')
    .option('--seconds <number>', 'one run', Number, 3)
    .option('--rounds <number>', 'servers of each kind, in turns; the report has medians', Number, 3)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const cache = defaultCache()
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'run-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const { models } = await prepareModel(model, cache)
  const file = join(folder, 'ads.csv')
  await writeAds(file, options.ads)
  log(`${grouped(options.ads)} ads are written`)
  const [withPlans, withoutPlans] = [join(folder, 'with'), join(folder, 'without')]
  const version = join(models, model.name, '1')
  const made = await make(version, file, withPlans, options.precision)
  await rm(file)
  log(`the catalogue is made: ${JSON.stringify(made)}`)
  // The same plan, with the same measured costs.
  await cp(withPlans, withoutPlans, {
    recursive: true,
    preserveTimestamps: true,
    filter: (path) => !/catalogue-/.test(path),
  })
  const catalogued = (await readdir(made.folder)).some((name) => name.startsWith('catalogue-'))
  if (!catalogued) throw new Error(`there is no catalogue in ${made.folder}`)
  const distinct = Math.min(4000, Math.floor(options.ads / candidatesPerRequest))
  const fresh = requestsOf(distinct, options.ads)
  const few = requestsOf(500, recurring)
  const way = (title: string, plans: string, requests: Buffer[], filled: boolean): Way => ({
    ...{ title, plans, requests, filled },
    runs: [],
  })
  const ways = [
    way('no catalogue, empty cache', withoutPlans, fresh, false),
    way('catalogue, empty cache', withPlans, fresh, false),
    way('no catalogue, full cache', withoutPlans, few, true),
  ]
  for (let round = 0; round < options.rounds; round++)
    for (const one of ways) {
      const run = await measure(one, models, options.seconds)
      one.runs.push(run)
      log(`${round + 1}/${options.rounds}  ${one.title}: ${JSON.stringify(run)}`)
    }
  const text = toMarkdown(ways, made, options, machine)
  console.log(text)
  if (options.out) await writeFile(options.out, text)
}

/** Values of ad `i`, the same whenever it is asked for. */
function adOf(i: number): number[] {
  const random = createUniform(i + 1)
  return adNames.map((name) =>
    name.startsWith('c') ? Math.floor(random() * model.sparse.ids) : Number(standardNormal(random).toFixed(4)),
  )
}

async function writeAds(file: string, count: number): Promise<void> {
  const stream = createWriteStream(file)
  stream.write(`${adNames.join(',')}\n`)
  for (let first = 0; first < count; first += 1000) {
    const lines = Array.from({ length: Math.min(1000, count - first) }, (_, i) => adOf(first + i).join(','))
    if (!stream.write(`${lines.join('\n')}\n`)) await once(stream, 'drain')
  }
  stream.end()
  await finished(stream)
}

/** Runs the command, as a user would. */
async function make(version: string, file: string, plans: string, precision: string): Promise<Made> {
  const args = ['warm', version, '--catalogue', file, '--precision', precision, '--cache', plans, '--json']
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const kill = () => child.kill()
  process.once('exit', kill)
  let output = ''
  let resident = 0
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  const watching = setInterval(() => {
    resident = Math.max(resident, residentOf(child.pid!))
  }, 100)
  const [code] = await once(child, 'close')
  clearInterval(watching)
  process.off('exit', kill)
  if (code !== 0) throw new Error(`multigate warm ended with ${code}`)
  return { ...(JSON.parse(output) as Made), resident }
}

/** The largest resident memory of a process so far, bytes; 0 where the system does not say. */
function residentOf(pid: number): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Complete requests of ads from the first `ads`: none twice as long as there are enough. */
function requestsOf(count: number, ads: number): Buffer[] {
  const random = createUniform(7)
  // A step without a common divisor visits every ad before one comes again.
  const step = 7919
  let next = 0
  return Array.from({ length: count }, () => {
    const rows = Array.from({ length: candidatesPerRequest }, () => {
      next = (next + step) % ads
      return adOf(next)
    })
    const context = Object.fromEntries(
      contextNames.map((name) => [
        name,
        name.startsWith('c') ? Math.floor(random() * model.sparse.ids) : Number(standardNormal(random).toFixed(4)),
      ]),
    )
    const candidates = Object.fromEntries(adNames.map((name, column) => [name, rows.map((row) => row[column])]))
    const body = Buffer.from(JSON.stringify({ model: model.name, context, candidates }))
    const head = `POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    return Buffer.concat([Buffer.from(head), body])
  })
}

/** Starts a server, and sends requests as fast as it answers, from the first one on. */
async function measure({ plans, requests, filled }: Way, models: string, seconds: number): Promise<Run> {
  const env = {
    ...process.env,
    ...{ MULTIGATE_HOST: '127.0.0.1', MULTIGATE_PORT: '0', MULTIGATE_MODELS: models, MULTIGATE_CACHE: plans },
    ...{ MULTIGATE_DRAIN_DELAY_MS: '0', MULTIGATE_DEADLINE_MS: '60000' },
  }
  const started = performance.now()
  const server = await startServing(main, [], env, serverArgv([]))
  try {
    await untilReady(server.url)
    const startSeconds = (performance.now() - started) / 1000
    const { hostname: host, port } = new URL(server.url)
    const transport = createConnections({ host, port: Number(port), requests, limit: connections })
    await transport.openAll()
    const load = (duration: number) =>
      runClosedLoop({ transport, clock: systemClock, inProgress: connections, seconds: duration })
    if (filled) await load(seconds)
    const before = await countsOf(server.url)
    const { answers, failed, rejected, seconds: took } = await load(seconds)
    const after = await countsOf(server.url)
    transport.destroy()
    const rows = after.rows - before.rows
    return {
      startSeconds,
      perSecond: answers / took,
      cpuMs: ((after.cpu - before.cpu) / answers) * 1000,
      cachedShare: (after.cached - before.cached) / rows,
      hits: after.hits - before.hits,
      failed: failed + rejected,
    }
  } finally {
    await server.stop()
  }
}

async function countsOf(base: string) {
  const text = await (await fetch(new URL('/metrics', base))).text()
  const sum = (pattern: RegExp) =>
    Array.from(text.matchAll(pattern), (match) => Number(match[1])).reduce((total, value) => total + value, 0)
  return {
    cpu: sum(/^process_cpu_seconds_total (\S+)$/gm),
    rows: sum(/^multigate_plan_rows_total\{.*\} (\S+)$/gm),
    cached: sum(/^multigate_plan_rows_total\{.*plan="cached".*\} (\S+)$/gm),
    hits: sum(/^multigate_catalogue_hits_total\{.*\} (\S+)$/gm),
  }
}

function toMarkdown(ways: Way[], made: Made, { seconds, rounds }: Options, machine: Machine): string {
  const { date, processor, cores, loadBefore, versions } = machine
  const of = ({ runs }: Way, key: keyof Run) => median(runs.map((run) => run[key]))
  const spread = ({ runs }: Way) =>
    `${whole(Math.min(...runs.map((run) => run.perSecond)))}–${whole(Math.max(...runs.map((run) => run.perSecond)))}`
  return `# A catalogue of candidates

${date}, ${processor}, ${cores} cores, Node ${versions.node}; load average before the run ${decimal(loadBefore)}. The model *prod*; ${grouped(made.rows)} ads; made by \`npm run loadtest -- catalogue\`.

| making it | |
| --- | --: |
| stored as | ${made.precision} |
| time, s | ${decimal(made.seconds)} |
| ads per second | ${whole(made.rows / made.seconds)} |
| largest memory | ${formatBytes(made.resident)} |
| bytes, on disk and mapped | ${formatBytes(made.bytes)} |
| bytes per ad | ${whole(made.bytes / made.rows)} |
| index, in the memory of each process | ${formatBytes(made.index_bytes)} |

Requests of ${candidatesPerRequest} candidates, ${connections} at a time, from the first one after the start on; without repetition, but for the full
cache, whose ${grouped(recurring)} ads were all asked for before. Server and client share the cores. Medians of ${rounds} runs of ${seconds} s each, in
turns.

${table<Way>(
  {
    server: ({ title }) => title,
    'ready after, s': (way) => decimal(of(way, 'startSeconds')),
    'requests/s': (way) => whole(of(way, 'perSecond')),
    'least–most': spread,
    'CPU per request, ms': (way) => decimal(of(way, 'cpuMs')),
    'rows by cached': (way) => `${whole(100 * of(way, 'cachedShare'))} %`,
    'from the catalogue': (way) => whole(of(way, 'hits')),
    failed: (way) => whole(way.runs.reduce((sum, run) => sum + run.failed, 0)),
  },
  ways,
)}
`
}

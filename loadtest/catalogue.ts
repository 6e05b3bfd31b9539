// Measures a catalogue of candidates: the time to make it, its size, and requests of a new server with and without it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { median } from '../src/base/arrays.ts'
import { systemClock } from '../src/base/clock.ts'
import { createUniform, standardNormal } from '../src/base/hash.ts'
import { formatBytes, grouped } from '../src/base/terminal.ts'
import type { Side } from '../src/schemas/features.ts'
import { runClosedLoop } from '../src/tools/load/closed-loop.ts'
import { createConnections } from '../src/tools/load/connections.ts'
import { defaultCache } from './competitors/arguments.ts'
import { featuresOf } from './competitors/columns.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { cli } from './entries.ts'
import { experiment, inTurns, temporaryFolder } from './experiment.ts'
import type { Machine } from './machine.ts'
import { decimal, table, whole } from './markdown.ts'
import { readMetrics, withMultigate } from './multigate.ts'
import type { ValuesOf } from './options.ts'
import { jsonContent, renderRequest } from './request-file.ts'
import { writePieces } from './write-pieces.ts'

const model = referenceModels.prod
const candidatesPerRequest = 100
const connections = 16
/** Ads of the requests to a full cache: few enough for every worker's. */
const recurring = 5000
const features = featuresOf(model)
const namesOf = (side: Side) => features.filter((field) => field.side === side).map(({ name }) => name)
const contextNames = namesOf('context')
const adNames = namesOf('candidate')

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
}

const options = {
  ads: ['<number>', 'candidates', Number, 1_000_000],
  precision: ['<name>', 'how they are stored: auto, float32, bfloat16 or int8', String, 'auto'],
  seconds: ['<number>', 'one run', Number, 3],
  rounds: ['<number>', 'servers of each kind, in turns; the report has medians', Number, 3],
} as const

type Settings = ValuesOf<typeof options>

export default experiment({
  description: 'Measure a catalogue of candidates, and requests with and without it',
  options,
  async run(options, { machine, log }) {
    const { ads, precision, seconds, rounds } = options
    const cache = defaultCache()
    const folder = await temporaryFolder(cache)
    const { models } = await prepareModel(model, cache)
    const file = join(folder, 'ads.csv')
    await writePieces(file, csvOf(ads))
    log(`${grouped(ads)} ads are written`)
    const [withPlans, withoutPlans] = [join(folder, 'with'), join(folder, 'without')]
    const made = await make(join(models, model.name, '1'), file, withPlans, precision)
    await rm(file)
    log(`the catalogue is made: ${JSON.stringify(made)}`)
    // The same plan, with the same measured costs.
    const filter = (path: string) => !/catalogue-/.test(path)
    await cp(withPlans, withoutPlans, { recursive: true, preserveTimestamps: true, filter })
    const catalogued = (await readdir(made.folder)).some((name) => name.startsWith('catalogue-'))
    if (!catalogued) throw new Error(`there is no catalogue in ${made.folder}`)
    const fresh = requestsOf(Math.min(4000, Math.floor(ads / candidatesPerRequest)), ads)
    const few = requestsOf(500, recurring)
    const ways: Way[] = [
      { title: 'no catalogue, empty cache', plans: withoutPlans, requests: fresh, filled: false },
      { title: 'catalogue, empty cache', plans: withPlans, requests: fresh, filled: false },
      { title: 'no catalogue, full cache', plans: withoutPlans, requests: few, filled: true },
    ]
    const runs = await inTurns(ways, rounds, async (way, round) => {
      const run = await measure(way, models, seconds)
      log(`${round + 1}/${rounds}  ${way.title}: ${JSON.stringify(run)}`)
      return run
    })
    const measured = ways.map(({ title }, i) => ({ title, runs: runs[i]! }))
    return toMarkdown(measured, made, options, machine)
  },
})

/** A value of a field. */
const drawValue = (name: string, random: () => number) =>
  name.startsWith('c') ? Math.floor(random() * model.sparse.ids) : Number(standardNormal(random).toFixed(4))

/** Values of ad `i`, the same whenever it is asked for. */
function adOf(i: number): number[] {
  const random = createUniform(i + 1)
  return adNames.map((name) => drawValue(name, random))
}

/** The ads as CSV. */
function* csvOf(count: number): Generator<string> {
  yield `${adNames.join(',')}\n`
  for (let ad = 0; ad < count; ad++) yield `${adOf(ad).join(',')}\n`
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
    const context = Object.fromEntries(contextNames.map((name) => [name, drawValue(name, random)]))
    const candidates = Object.fromEntries(adNames.map((name, column) => [name, rows.map((row) => row[column])]))
    return renderRequest('/predict', jsonContent(JSON.stringify({ model: model.name, context, candidates })))
  })
}

/** Starts a server, and sends requests as fast as it answers, from the first one on. */
function measure({ plans, requests, filled }: Way, models: string, seconds: number): Promise<Run> {
  const settings = { MULTIGATE_CACHE: plans, MULTIGATE_DEADLINE_MS: '60000' }
  return withMultigate({ models, settings }, async ({ url, ready }) => {
    const { hostname: host, port } = new URL(url)
    const transport = createConnections({ host, port: Number(port), requests, limit: connections })
    await transport.openAll()
    const load = () => runClosedLoop({ transport, clock: systemClock, inProgress: connections, seconds })
    if (filled) await load()
    const before = await readMetrics(url)
    const { answers, failed, rejected, seconds: took } = await load()
    const after = await readMetrics(url)
    transport.destroy()
    const grown = (name: string) => after(name) - before(name)
    return {
      startSeconds: ready,
      perSecond: answers / took,
      cpuMs: (grown('process_cpu_seconds_total') / answers) * 1000,
      cachedShare: grown('multigate_plan_rows_total\\{.*plan="cached".*\\}') / grown('multigate_plan_rows_total'),
      hits: grown('multigate_catalogue_hits_total'),
      failed: failed + rejected,
    }
  })
}

interface Measured {
  title: string
  runs: Run[]
}

function toMarkdown(ways: Measured[], made: Made, { seconds, rounds }: Settings, machine: Machine): string {
  const { date, processor, cores, loadBefore, versions } = machine
  const of = ({ runs }: Measured, key: keyof Run) => median(runs.map((run) => run[key]))
  const spread = ({ runs }: Measured) =>
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

${table<Measured>(
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

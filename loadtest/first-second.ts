// Measures the first requests to a new process once it is ready, with and without warm-up.
//   node build/loadtest/first-second.js [--rates S3=1200,S4=3500] [--repeats 5]
import { median } from '../src/base/arrays.ts'
import { defaultCache } from './competitors/arguments.ts'
import { seed } from './competitors/bench.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { createRequests } from './competitors/requests.ts'
import { type Scenario, scenarios } from './competitors/scenarios.ts'
import { servers, startReady } from './competitors/servers.ts'
import { experiment, inTurns, runMain, temporaryFolder, withServers } from './experiment.ts'
import { loadOf } from './generator.ts'
import { table } from './markdown.ts'

/** Tensors, with recurring candidates. */
const form = 'tensors'
const deadlineMs = 60
/** Lengths of the first interval and of the pause before the second, s. */
const moment = 0.25
const between = 1

type Sample = Record<'ready' | 'good' | 'p50' | 'p99' | 'goodLater' | 'p50Later' | 'p99Later', number>

interface Row {
  scenario: Scenario
  rate: string
  warmUp: string
  samples: Sample[]
}

const firstSecond = experiment({
  description: 'Measure the first requests to a new process, with and without warm-up',
  options: {
    rates: ['<scenario=requests/s,…>', 'scenarios and request rates', String, 'S3=1200,S4=3500'],
    repeats: ['<number>', 'processes of each kind; the report has medians', Number, 5],
  },
  async run({ rates, repeats }, { machine: { date, processor, versions }, log }) {
    const folder = await temporaryFolder()
    const requests = createRequests(folder, seed)
    const rows: Row[] = []
    for (const [name, rate = ''] of rates.split(',').map((part) => part.split('='))) {
      const scenario = scenarios.find((known) => known.name === name)
      if (scenario === undefined || !(Number(rate) > 0)) throw new Error(`--rates: there is no ${name}=${rate}`)
      const { file } = await requests.file({ scenario, form, candidates: 'seen' })
      const kinds = ['none', 'default']
      const samples = await inTurns(kinds, repeats, async (warmUp, i) => {
        const settings: Record<string, string> = warmUp === 'none' ? { MULTIGATE_WARM_UP_MS: '0' } : {}
        const sample = await measure(scenario, Number(rate), file, folder, settings)
        log(`${name}, warm-up: ${warmUp}, ${i + 1} of ${repeats}: ${JSON.stringify(sample)}`)
        return sample
      })
      rows.push(...kinds.map((warmUp, i) => ({ scenario, rate, warmUp, samples: samples[i]! })))
    }
    const of = (key: keyof Sample, digits: number) => (row: Row) =>
      median(row.samples.map((sample) => sample[key])).toFixed(digits)
    return `# The first second

${date}, ${processor}, Node ${versions.node}. A new process receives requests once it is ready: Poisson arrivals, JSON tensors with
recurring candidates, a deadline of ${deadlineMs} ms. The first ${moment * 1000} ms, and as many after ${between} s of the same load. Medians of ${repeats} processes each.
Made by \`node build/loadtest/first-second.js\`.

${table<Row>(
  {
    requests: ({ scenario }) => scenario.title,
    'offered, req/s': ({ rate }) => rate,
    'warm-up': ({ warmUp }) => warmUp,
    'ready after, s': of('ready', 1),
    'first: in time': (row) => `${of('good', 0)(row)} %`,
    'p50, ms': of('p50', 1),
    p99: of('p99', 0),
    'later: in time': (row) => `${of('goodLater', 0)(row)} %`,
    'p50, ms ': of('p50Later', 1),
    'p99 ': of('p99Later', 0),
  },
  rows,
)}
`
  },
})

async function measure(
  scenario: Scenario,
  rate: number,
  file: string,
  folder: string,
  settings: Record<string, string>,
): Promise<Sample> {
  const cache = defaultCache()
  const model = referenceModels[scenario.model]
  const files = await prepareModel(model, cache)
  const start = () => startReady(servers.multigate, { model, files, scenario, cache, folder, settings })
  const started = performance.now()
  return withServers([start], async ([server]) => {
    const ready = (performance.now() - started) / 1000
    const load = loadOf(server!.base, file, { rate, seed, deadlineMs })
    const inTime = async (start: number) => {
      const { good, scheduled, latency } = await load(start, moment)
      return { good: (100 * good) / scheduled, p50: latency.p50, p99: latency.p99 }
    }
    const first = await inTime(0)
    await load(rate, between)
    const later = await inTime(3 * rate)
    return { ready, ...first, goodLater: later.good, p50Later: later.p50, p99Later: later.p99 }
  })
}

await runMain(firstSecond, 'first-second', process.argv.slice(2))

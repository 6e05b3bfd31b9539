// Measures the first requests to a new process once it is ready, with and without warm-up.
//   node build/loadtest/first-second.js [--rates S3=1200,S4=3500] [--repeats 5]
//                                       [--out loadtest/results/first-second.md]
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { median } from '../src/base/arrays.ts'
import { defaultCache } from './competitors/arguments.ts'
import { seed } from './competitors/bench.ts'
import { urlOf } from './competitors/check.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { createRequests } from './competitors/requests.ts'
import { type Scenario, scenarios } from './competitors/scenarios.ts'
import { type ServerKind, servers, startServer } from './competitors/servers.ts'
import { generate } from './generator.ts'
import { describeMachine } from './machine.ts'

const { rates, repeats, out } = new Command('first-second')
  .description('Measure the first requests to a new process, with and without warm-up')
  .option('--rates <scenario=requests/s,…>', 'scenarios and request rates', 'S3=1200,S4=3500')
  .option('--repeats <number>', 'processes of each kind; the report has medians', Number, 5)
  .option('--out <file.md>', 'also write the results here')
  .parse()
  .opts<{ rates: string; repeats: number; out?: string }>()

/** Tensors, with recurring candidates. */
const form = 'tensors'
const deadlineMs = 60
/** Lengths of the first interval and of the pause before the second, s. */
const moment = 0.25
const between = 1

type Sample = Record<'ready' | 'good' | 'p50' | 'p99' | 'goodLater' | 'p50Later' | 'p99Later', number>

const folder = await mkdtemp(join(tmpdir(), 'multigate-first-second-'))
const cache = defaultCache()
try {
  const requests = createRequests(folder, seed)
  const rows: string[][] = []
  for (const [name, rate] of rates.split(',').map((part) => part.split('='))) {
    const scenario = scenarios.find((known) => known.name === name)
    if (scenario === undefined || !(Number(rate) > 0)) throw new Error(`--rates: there is no ${name}=${rate}`)
    const { file } = await requests.file({ scenario, form, candidates: 'seen' })
    const samples: Record<string, Sample[]> = { none: [], default: [] }
    for (let i = 0; i < repeats; i++)
      for (const [warmUp, list] of Object.entries(samples)) {
        list.push(await measure(scenario, Number(rate), file, warmUp === 'none' ? { MULTIGATE_WARM_UP_MS: '0' } : {}))
        console.error(`${name}, warm-up: ${warmUp}, ${i + 1} of ${repeats}: ${JSON.stringify(list.at(-1))}`)
      }
    for (const [warmUp, list] of Object.entries(samples)) {
      const of = (key: keyof Sample, digits: number) => median(list.map((sample) => sample[key])).toFixed(digits)
      rows.push([
        ...[scenario.title, rate!, warmUp, of('ready', 1)],
        ...[`${of('good', 0)} %`, of('p50', 1), of('p99', 0)],
        ...[`${of('goodLater', 0)} %`, of('p50Later', 1), of('p99Later', 0)],
      ])
    }
  }
  const { date, processor, versions } = await describeMachine(new Date())
  const text = `# The first second

${date}, ${processor}, Node ${versions.node}. A new process receives requests once it is ready: Poisson arrivals, JSON tensors with
recurring candidates, a deadline of ${deadlineMs} ms. The first ${moment * 1000} ms, and as many after ${between} s of the same load. Medians of ${repeats} processes each.
Made by \`node build/loadtest/first-second.js\`.

| requests | offered, req/s | warm-up | ready after, s | first: in time | p50, ms | p99 | later: in time | p50, ms | p99 |
| --- | --: | --- | --: | --: | --: | --: | --: | --: | --: |
${rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
  console.log(text)
  if (out) await writeFile(out, text)
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function measure(scenario: Scenario, rate: number, file: string, env: Record<string, string>): Promise<Sample> {
  const { multigate } = servers
  const kind: ServerKind = {
    ...multigate,
    launch: async (options) => {
      const launch = await multigate.launch(options)
      return { ...launch, env: { ...launch.env, ...env } }
    },
  }
  const model = referenceModels[scenario.model]
  const started = performance.now()
  const server = await startServer(
    kind,
    {
      model,
      files: await prepareModel(model, cache),
      setup: kind.setup(scenario),
      python: '',
      folder,
      plans: join(cache, 'plans'),
    },
    async (base) => (await fetch(new URL('/readyz', base))).ok,
  )
  const ready = (performance.now() - started) / 1000
  const load = async (start: number, seconds: number) => {
    const url = urlOf(server.base, kind, form, model).href
    const headers = { 'x-deadline-ms': String(deadlineMs) }
    const shape = { start, rate, seconds, seed, deadlineMs, graceMs: 1000, connections: 256 }
    const { good, scheduled, latency } = await generate({ url, headers, file, ...shape })
    return { good: (100 * good) / scheduled, p50: latency.p50, p99: latency.p99 }
  }
  try {
    const first = await load(0, moment)
    await load(rate, between)
    const later = await load(3 * rate, moment)
    return { ready, ...first, goodLater: later.good, p50Later: later.p50, p99Later: later.p99 }
  } finally {
    await server.stop()
  }
}

// Measures latency and memory while versions with new weights replace each other under load.
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../src/tools/load/open-loop.ts'
import { post } from './clients.ts'
import { defaultCache } from './competitors/arguments.ts'
import { referenceModels, writeModel } from './competitors/models.ts'
import { createRequests } from './competitors/requests.ts'
import { scenarios } from './competitors/scenarios.ts'
import { experiment, type Log, temporaryFolder } from './experiment.ts'
import { type Answers, loadOf } from './generator.ts'
import type { Machine } from './machine.ts'
import { decimal, mebibytes, table } from './markdown.ts'
import { residentBytes, withMultigate } from './multigate.ts'

const seed = 5
const deadlineMs = 100
/** Bound of the compiled plans, bytes. */
const planBytes = 500_000_000
/** Answers of a new version that count as its first ones. */
const firstAnswers = 1000
/** Load before the first swap, and after the first answers of each, s. */
const quietSeconds = 3

const model = referenceModels.prod

interface Swap {
  number: number
  /** ms since 1970: the version was published; it answered. */
  published: number
  answered: number
  /** Bytes, once its first answers were over. */
  resident: number
}

type Phase = 'quiet' | 'loading' | 'first'

/** Publishes one version after the other while an open loop asks, and reports latency by phase, and memory. */
export default experiment({
  description: 'Measure latency and memory while versions replace each other under load',
  options: {
    swaps: ['<number>', 'number of swaps', Number, 30],
    rate: ['<number>', 'requests per second, of 100 candidates each', Number, 300],
    server: ['<main.js>', 'another build of the server'],
  },
  async run(options, { machine, log }) {
    const { file } = await createRequests(join(defaultCache(), 'swaps'), seed).file({
      scenario: scenarios.find(({ name }) => name === 'S3')!,
      form: 'tensors',
      candidates: 'seen',
    })
    return report(machine, options.rate, await swapUnderLoad({ ...options, file }, log))
  },
})

interface Settings {
  swaps: number
  rate: number
  file: string
  server: string | undefined
}

interface Measured {
  answers: Answers
  scheduled: number
  good: number
  swaps: Swap[]
  /** Bytes before the first swap. */
  resident: number
}

async function swapUnderLoad({ swaps, rate, file, server: script }: Settings, log: Log): Promise<Measured> {
  const folder = await temporaryFolder()
  const models = join(folder, 'models')
  await publish(await prepare(folder, 1), models, 1)
  const settings = {
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_POLL_SECONDS: '0',
    MULTIGATE_CACHE: join(folder, 'plans'),
    MULTIGATE_CACHE_BYTES: String(planBytes),
  }
  return withMultigate({ script, models, settings }, async ({ url }) => {
    const load = loadOf(url, file, { rate, seed, deadlineMs })
    await load(0, 5)
    const resident = await residentBytes(url)
    const answers: Answers[] = []
    const done: Swap[] = []
    let [scheduled, good] = [0, 0]
    for (let number = 1; number <= swaps; number++) {
      const prepared = await prepare(folder, number + 1)
      // Long enough for the version to load, its first answers, and a quiet time.
      const running = load(number * 7919, loadSeconds(rate, done), true)
      await sleep(quietSeconds * 1000)
      const published = Date.now()
      await publish(prepared, models, number + 1)
      await (await post(`${url}/v2/repository/models/${model.name}/load`, '{}')).text()
      const answered = Date.now()
      await rm(join(models, model.name, String(number)), { recursive: true })
      const result = await running
      answers.push(result.answers!)
      scheduled += result.scheduled
      good += result.good
      done.push({ number, published, answered, resident: await residentBytes(url) })
      log(
        `swap ${number}: ${((answered - published) / 1000).toFixed(1)} s, ${describe(result.answers!, done.slice(-1))}`,
      )
    }
    const all = (key: keyof Answers) => Float64Array.from(answers.flatMap((part) => [...part[key]]))
    return { answers: { due: all('due'), latency: all('latency') }, scheduled, good, swaps: done, resident }
  })
}

/** Seconds of load around a swap: longer than the slowest so far took. */
function loadSeconds(rate: number, done: readonly Swap[]): number {
  const slowest = Math.max(6000, ...done.map(({ published, answered }) => 1.3 * (answered - published)))
  return 2 * quietSeconds + slowest / 1000 + firstAnswers / rate
}

/** Writes a version with weights of its own, which therefore has to be compiled. */
async function prepare(folder: string, version: number): Promise<string> {
  const prepared = join(folder, 'new')
  await writeModel(model, prepared, String(version), version)
  return prepared
}

/** Makes a version appear, complete. */
async function publish(prepared: string, models: string, version: number): Promise<void> {
  await mkdir(join(models, model.name), { recursive: true })
  await rename(prepared, join(models, model.name, String(version)))
}

/** Latencies by phase, ms: while a version loads, the first answers after it does, and all others. */
function phasesOf({ due, latency }: Answers, swaps: readonly Swap[]): Record<Phase, number[]> {
  const phases: Record<Phase, number[]> = { quiet: [], loading: [], first: [] }
  const firsts = swaps.map(() => 0)
  const order = Array.from(due.keys()).sort((a, b) => due[a]! - due[b]!)
  for (const i of order) {
    const swap = swaps.findLastIndex(({ published }) => published <= due[i]!)
    if (swap < 0) phases.quiet.push(latency[i]!)
    else if (due[i]! < swaps[swap]!.answered) phases.loading.push(latency[i]!)
    else if (firsts[swap]! < firstAnswers) {
      firsts[swap]!++
      phases.first.push(latency[i]!)
    } else phases.quiet.push(latency[i]!)
  }
  return phases
}

function describe(answers: Answers, swaps: readonly Swap[]): string {
  const { quiet, loading, first } = phasesOf(answers, swaps)
  const p99 = (values: number[]) => `${decimal(quantile(values, 0.99))} ms`
  return `p99 quiet ${p99(quiet)}, loading ${p99(loading)}, first answers ${p99(first)}`
}

function report({ date, processor, versions }: Machine, rate: number, measured: Measured): string {
  const { answers, swaps, scheduled, good, resident } = measured
  const phases = phasesOf(answers, swaps)
  const p99 = (phase: Phase) => quantile(phases[phase], 0.99)
  const names: [Phase, string][] = [
    ['quiet', 'no version is loading'],
    ['loading', 'a version is loading'],
    ['first', `first ${firstAnswers} answers of a version`],
  ]
  const memory = [0, 1, 10, 20, 40, 80, 120, 160, 200].filter((count) => count <= swaps.length)
  if (!memory.includes(swaps.length)) memory.push(swaps.length)
  const seconds = swaps.map((swap) => (swap.answered - swap.published) / 1000)
  return `# Versions that replace each other under load

${date}, ${processor}, Node ${versions.node}. The reference model prod, ${rate} requests/s of 100 candidates, Poisson arrivals, a
deadline of ${deadlineMs} ms; ${swaps.length} versions, each with new weights, are compiled, verified, warmed and put in the place of their
predecessors. A version takes ${decimal(quantile(seconds, 0.5))} s from its publication to its first answer (median). ${decimal((100 * good) / scheduled)} % of ${scheduled}
requests were answered within the deadline. Made by \`npm run loadtest -- swaps\`.

${table<[Phase, string]>(
  {
    '': ([, name]) => name,
    answers: ([phase]) => String(phases[phase].length),
    'p50, ms': ([phase]) => decimal(quantile(phases[phase], 0.5)),
    'p99, ms': ([phase]) => decimal(p99(phase)),
    '÷ quiet': ([phase]) => decimal(p99(phase) / p99('quiet')),
    'p99.9, ms': ([phase]) => decimal(quantile(phases[phase], 0.999)),
  },
  names,
)}

${table<number>(
  {
    swaps: String,
    'resident, MiB': (count) => mebibytes(count === 0 ? resident : swaps[count - 1]!.resident),
  },
  memory,
)}
`
}

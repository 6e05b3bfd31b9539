// Measures what one tenant's flood does to another: p99 of the second while the first keeps to its limit, and while it
// floods.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { median } from '../src/base/arrays.ts'
import { sum } from '../src/model/quality/metrics.ts'
import { quantiles } from '../src/tools/load/open-loop.ts'
import { askEvenly, statusOf } from './clients.ts'
import { experiment, inTurns, temporaryFolder } from './experiment.ts'
import { table } from './markdown.ts'
import { withMultigate } from './multigate.ts'

/** Requests per second of the tenant that is measured. */
const ownRate = 100
/** Candidates of each request. */
const candidates = 100
/** Connections of the tenant that floods; each asks again when it is answered. */
const floodConnections = 32

const deadlineMs = 100

const flooders = {
  /** Its rate is limited, and its share of the queue and of the cache. */
  limited: { requests_per_second: 200, queue_share: 0.1, cache_share: 0.1 },
  /** Its requests in progress are limited, and its share of the queue and of the cache. */
  concurrent: { concurrent_requests: 2, queue_share: 0.1, cache_share: 0.1 },
  /** Only its share of the queue and of the cache. */
  shared: { queue_share: 0.1, cache_share: 0.1 },
  /** Nothing is limited; tenants take turns. */
  unlimited: {},
}

interface Phase {
  name: string
  flooder: keyof typeof flooders | undefined
  /** Requests per second; undefined: as many as it can. */
  rate: number | undefined
}

const phases: Phase[] = [
  { name: 'alone', flooder: undefined, rate: 0 },
  { name: 'the other asks 150/s, within its limit', flooder: 'limited', rate: 150 },
  { name: 'the other floods: rate and shares limited', flooder: 'limited', rate: undefined },
  { name: 'the other floods: two requests at a time, and shares', flooder: 'concurrent', rate: undefined },
  { name: 'the other floods: shares limited', flooder: 'shared', rate: undefined },
  { name: 'the other floods: nothing limited', flooder: 'unlimited', rate: undefined },
]

interface Run {
  p50: number
  p99: number
  failed: number
  sent: number
  /** Answers to the flooder, by status. */
  other: Record<string, number>
}

const key = (id: string) => `key-of-${id}`
const entry = (id: string, more: object = {}) => ({
  id,
  sha256: createHash('sha256').update(key(id)).digest('hex'),
  scopes: ['predict'],
  ...more,
})

const body = (seed: number) =>
  JSON.stringify({
    model: 'ads-funnel',
    context: { country: 'DE', hour: seed % 24, segment: 's17' },
    candidates: Array.from({ length: candidates }, (_, i) => ({
      campaign: `c${(seed + i) % 40}`,
      price: ((seed * 7 + i) % 100) / 50,
    })),
  })

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** Requests at even times; their statuses and ms. */
function ask(url: string, rate: number, seconds: number, tenant = 'own') {
  const headers = { 'x-api-key': key(tenant), 'x-deadline-ms': deadlineMs }
  return askEvenly(
    rate,
    (asked) => asked >= rate * seconds,
    async (index) => {
      const began = performance.now()
      const status = await statusOf(new URL('/predict', url), { body: body(index), headers, agent })
      return { status, ms: performance.now() - began }
    },
  )
}

/** The other tenant; answers its statuses. A flood comes from a process of its own that yields to the server. */
async function flood(url: string, { flooder, rate }: Phase, seconds: number): Promise<Record<string, number>> {
  if (flooder === undefined) return {}
  if (rate !== undefined) {
    const counts: Record<string, number> = {}
    for (const { status } of await ask(url, rate, seconds, flooder)) counts[status] = (counts[status] ?? 0) + 1
    return counts
  }
  const autocannon = fileURLToPath(import.meta.resolve('autocannon'))
  const args = ['-j', '-n', '-c', String(floodConnections), '-d', String(seconds), '-m', 'POST', '-b', body(3)]
  const headers = ['content-type=application/json', `x-api-key=${key(flooder)}`, `x-deadline-ms=${deadlineMs}`]
  const { stdout } = await promisify(execFile)('nice', [
    ...['-n', '10', process.execPath, autocannon, ...args],
    ...headers.flatMap((header) => ['-H', header]),
    `${url}/predict`,
  ])
  const { statusCodeStats } = JSON.parse(stdout) as { statusCodeStats: Record<string, { count: number }> }
  return Object.fromEntries(Object.entries(statusCodeStats).map(([status, { count }]) => [status, count]))
}

async function measure(url: string, phase: Phase, seconds: number): Promise<Run> {
  const flooding = flood(url, phase, seconds)
  // The flood has to begin.
  await sleep(1000)
  const answers = await ask(url, ownRate, seconds - 2)
  const times = answers.filter(({ status }) => status === 200).map(({ ms }) => ms)
  const { p50, p99 } = quantiles(times)
  return { p50, p99, sent: answers.length, failed: answers.length - times.length, other: await flooding }
}

/** Rounds of all phases, in one run of one server. */
export default experiment({
  description: "Measure what one tenant's flood does to another tenant's latency",
  options: {
    models: ['<folder>', 'folder of models, with ads-funnel in it', String, 'models'],
    seconds: ['<number>', 'length of each phase', Number, 6],
    rounds: ['<number>', 'repetitions of all phases', Number, 5],
  },
  async run({ models, seconds, rounds }, { machine: { date, processor, versions }, log }) {
    const keys = [entry('own'), ...Object.entries(flooders).map(([id, limits]) => entry(id, limits))]
    const file = join(await temporaryFolder(), 'keys.json')
    await writeFile(file, JSON.stringify({ keys }), { mode: 0o600 })
    const runs = await withMultigate({ models, settings: { MULTIGATE_KEYS: file } }, ({ url }) =>
      inTurns(phases, rounds, (phase, round) => {
        if (phase === phases[0]) log(`round ${round + 1} of ${rounds}`)
        return measure(url, phase, seconds)
      }),
    )
    agent.destroy()
    return `# One tenant's flood, and another's latency

${date}, ${processor}, Node ${versions.node}, one process. A tenant asks ${ownRate} times a second for ${candidates} candidates of ads-funnel within
${deadlineMs} ms; another asks the same model, at most over ${floodConnections} connections. Medians of ${rounds} rounds, all phases in each round. Made by
\`npm run loadtest -- tenants\`.

${table(
  {
    'the other tenant': ({ name }) => name,
    'p50, ms': ({ runs }) => median(runs.map(({ p50 }) => p50)).toFixed(1),
    'p99, ms': ({ runs }) => median(runs.map(({ p99 }) => p99)).toFixed(1),
    failed: ({ runs }) => `${sum(runs.map(({ failed }) => failed))} of ${sum(runs.map(({ sent }) => sent))}`,
    'answers to the other': ({ runs }) => describe(runs.map(({ other }) => other)),
  },
  phases.map(({ name }, i) => ({ name, runs: runs[i]! })),
)}
`
  },
})

/** Counts by status, over all rounds. */
function describe(rounds: readonly Record<string, number>[]): string {
  const statuses = [...new Set(rounds.flatMap((counts) => Object.keys(counts)))].sort()
  const all = statuses.map(
    (status) => `${sum(rounds.map((counts) => counts[status] ?? 0)).toLocaleString('en')} × ${status}`,
  )
  return all.join(', ') || '–'
}

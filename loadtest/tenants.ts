// Measures what one tenant's flood does to another: p99 of the second while the first keeps to its limit, and while it
// floods.
//   npm run loadtest -- tenants [--models models] [--seconds 6] [--rounds 5] [--out loadtest/results/tenants.md]

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { median } from '../src/base/arrays.ts'
import { quantiles } from '../src/tools/load/open-loop.ts'
import { startServing } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'
import type { Machine } from './machine.ts'
import { table } from './markdown.ts'

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

interface Row {
  name: string
  p50: number[]
  p99: number[]
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

/** One request; its status and ms. */
function ask(url: string, seed: number, tenant = 'own'): Promise<{ status: number; ms: number }> {
  const text = body(seed)
  const began = performance.now()
  return new Promise((resolve) => {
    const done = (status: number) => resolve({ status, ms: performance.now() - began })
    const sent = request(new URL('/predict', url), {
      method: 'POST',
      agent,
      headers: {
        'content-type': 'application/json',
        'content-length': text.length,
        'x-api-key': key(tenant),
        'x-deadline-ms': deadlineMs,
      },
    })
    sent.once('error', () => done(0))
    sent.once('response', (answer) => answer.resume().once('close', () => done(answer.statusCode ?? 0)))
    sent.end(text)
  })
}

/** Requests at even times; their statuses and ms. */
async function askEvenly(url: string, rate: number, seconds: number, tenant?: string) {
  const pending: ReturnType<typeof ask>[] = []
  const began = performance.now()
  while (pending.length < rate * seconds) {
    const due = began + (pending.length * 1000) / rate
    if (due > performance.now()) await new Promise((resolve) => setTimeout(resolve, due - performance.now()))
    pending.push(ask(url, pending.length, tenant))
  }
  return Promise.all(pending)
}

/** The other tenant; answers its statuses. A flood comes from a process of its own that yields to the server. */
async function flood(url: string, { flooder, rate }: Phase, seconds: number): Promise<Record<string, number>> {
  if (flooder === undefined) return {}
  if (rate !== undefined) {
    const counts: Record<string, number> = {}
    for (const { status } of await askEvenly(url, rate, seconds, flooder)) counts[status] = (counts[status] ?? 0) + 1
    return counts
  }
  const autocannon = fileURLToPath(import.meta.resolve('autocannon'))
  const args = ['-j', '-n', '-c', String(floodConnections), '-d', String(seconds), '-m', 'POST', '-b', body(3)]
  const headers = ['content-type=application/json', `x-api-key=${key(flooder)}`, `x-deadline-ms=${deadlineMs}`]
  const child = spawn(
    'nice',
    [
      ...['-n', '10', process.execPath, autocannon, ...args],
      ...headers.flatMap((header) => ['-H', header]),
      `${url}/predict`,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part))
  await once(child, 'close')
  const { statusCodeStats } = JSON.parse(text) as { statusCodeStats: Record<string, { count: number }> }
  return Object.fromEntries(Object.entries(statusCodeStats).map(([status, { count }]) => [status, count]))
}

async function measure(url: string, phase: Phase, seconds: number, row: Row): Promise<void> {
  const flooding = flood(url, phase, seconds)
  // The flood has to begin.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const answers = await askEvenly(url, ownRate, seconds - 2)
  const times = answers.filter(({ status }) => status === 200).map(({ ms }) => ms)
  const { p50, p99 } = quantiles(times)
  row.p50.push(p50)
  row.p99.push(p99)
  row.sent += answers.length
  row.failed += answers.length - times.length
  for (const [status, n] of Object.entries(await flooding)) row.other[status] = (row.other[status] ?? 0) + n
}

/** Rounds of all phases, in one run of one server. */
export async function measureTenants(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const { models, seconds, rounds, out } = new Command('npm run loadtest -- tenants')
    .description("Measure what one tenant's flood does to another tenant's latency")
    .option('--models <folder>', 'folder of models, with ads-funnel in it', 'models')
    .option('--seconds <number>', 'length of each phase', Number, 6)
    .option('--rounds <number>', 'repetitions of all phases', Number, 5)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ models: string; seconds: number; rounds: number; out?: string }>()
  const folder = await mkdtemp(join(tmpdir(), 'multigate-tenants-'))
  const keys = [entry('own'), ...Object.entries(flooders).map(([id, limits]) => entry(id, limits))]
  const file = join(folder, 'keys.json')
  await writeFile(file, JSON.stringify({ keys }), { mode: 0o600 })
  const script = main
  const args = ['--port', '0', '--models', models, '--keys', file]
  const server = await startServing(script, args, { ...process.env })
  const { url } = server
  while ((await fetch(`${url}/readyz`)).status !== 200) await new Promise((resolve) => setTimeout(resolve, 100))
  const rows: Row[] = phases.map(({ name }) => ({ name, p50: [], p99: [], failed: 0, sent: 0, other: {} }))
  for (let round = 1; round <= rounds; round++) {
    log(`round ${round} of ${rounds}`)
    for (const [i, phase] of phases.entries()) await measure(url, phase, seconds, rows[i]!)
  }
  await server.stop()
  agent.destroy()
  await rm(folder, { recursive: true })
  const text = toMarkdown(rows, rounds, machine)
  console.log(text)
  if (out) await writeFile(out, text)
}

function toMarkdown(rows: Row[], rounds: number, { date, processor, versions }: Machine): string {
  const other = (row: Row) =>
    Object.entries(row.other)
      .map(([status, count]) => `${count.toLocaleString('en')} × ${status}`)
      .join(', ') || '–'
  return `# One tenant's flood, and another's latency

${date}, ${processor}, Node ${versions.node}, one process. A tenant asks ${ownRate} times a second for ${candidates} candidates of ads-funnel within
${deadlineMs} ms; another asks the same model, at most over ${floodConnections} connections. Medians of ${rounds} rounds, all phases in each round. Made by
\`npm run loadtest -- tenants\`.

${table<Row>(
  {
    'the other tenant': ({ name }) => name,
    'p50, ms': ({ p50 }) => median(p50).toFixed(1),
    'p99, ms': ({ p99 }) => median(p99).toFixed(1),
    failed: ({ failed, sent }) => `${failed} of ${sent}`,
    'answers to the other': other,
  },
  rows,
)}
`
}

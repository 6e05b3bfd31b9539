// Measures requests that cost little beside Node's HTTP server itself: one row, and refusals by headers.
//   npm run loadtest -- small [--rounds 5] [--seconds 2] [--out loadtest/results/small.md]
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { serverArgv } from '../src/app/v8-flags.ts'
import { median } from '../src/base/arrays.ts'
import { type ServingGroup, startGroup } from './children.ts'
import { defaultCache } from './competitors/arguments.ts'
import { checkAnswers, createReference } from './competitors/check.ts'
import { type ClosedRun, createClosedLoop } from './competitors/closed-loop.ts'
import { forms } from './competitors/forms.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { createRequests, type Requests } from './competitors/requests.ts'
import { type Scenario, scenarios } from './competitors/scenarios.ts'
import { type RunningServer, type ServerKind, type ServerName, servers, startServer } from './competitors/servers.ts'
import { freePort } from './free-port.ts'
import type { Machine } from './machine.ts'
import { type Columns, decimal, table, whole } from './markdown.ts'
import { writeRequests } from './request-file.ts'

const seed = 7
const connections = 32
/** Time to warm up each server before it is measured, s. */
const warmUp = 3
/** ms. */
const patience = 60_000
const cores = availableParallelism()
const emptyHandler = 'empty `node:http` handler'
const script = (name: string) => join(import.meta.dirname, name)

interface Target extends RunningServer {
  title: string
  runs: ClosedRun[]
}

/** Runs servers in turns, several rounds, so that all meet the machine in the same states. */
export async function measureSmall(
  argv: readonly string[],
  { date, processor, versions }: Machine,
  log: (line: string) => void,
): Promise<void> {
  const { rounds, seconds, out } = new Command('npm run loadtest -- small')
    .description("Measure requests of one row, and refusals, beside Node's HTTP server itself")
    .option('--rounds <number>', 'runs of each server, in turns', Number, 5)
    .option('--seconds <number>', 'one run, whole seconds', Number, 2)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ rounds: number; seconds: number; out?: string }>()
  const cache = defaultCache()
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'run-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const closedLoop = createClosedLoop()
  const bench: Bench = {
    cache,
    folder,
    requests: createRequests(join(folder, 'requests'), seed),
    async run(name, targets, path, file) {
      const load = ({ base, group }: Target, start: number, duration: number) =>
        closedLoop.run({ url: new URL(path, base), group, file, start, connections, seconds: duration })
      for (const target of targets) await load(target, 0, warmUp)
      for (let round = 0; round < rounds; round++)
        for (const target of targets) {
          const run = await load(target, 1000 * round, seconds)
          target.runs.push(run)
          log(`${name}  ${round + 1}/${rounds}  ${target.title}: ${(run.serverMs * 1000).toFixed(1)} µs a request`)
        }
    },
  }
  const parts: string[] = []
  for (const scenario of scenarios.filter(({ rows }) => Math.max(...rows) === 1)) {
    const targets = await oneRow(bench, scenario)
    parts.push(`## ${scenario.name}: ${scenario.title}\n\n${compared(targets)}`)
  }
  const targets = await refusals(bench)
  parts.push(
    `## Refusals by headers\n\nEach request brings 100 rows, and a deadline that nothing can meet.\n\n${refused(targets, seconds)}`,
  )
  const text = `# Small requests

${date}, ${processor}, ${cores} cores, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. ${connections} connections by ${closedLoop.generator}, which
shares the cores. Medians of ${rounds} runs of ${seconds} s; servers take turns, and each ratio is the median of the rounds' own. Every
server's answers were checked first. The empty handler parses the same JSON and sends one answer; of a refused request it
reads no body. Made by \`npm run loadtest -- small\`.

${parts.join('\n\n')}
`
  console.log(text)
  if (out) await writeFile(out, text)
}

/** The things that all measurements share. */
interface Bench {
  cache: string
  folder: string
  requests: Requests
  /** Warms servers up, and runs them in turns with the requests of a file. */
  run(name: string, targets: Target[], path: string, file: string): Promise<void>
}

async function oneRow({ cache, folder, requests, run }: Bench, scenario: Scenario): Promise<Target[]> {
  const model = referenceModels[scenario.model]
  const files = await prepareModel(model, cache)
  const kind = { scenario, form: 'tensors' as const, candidates: 'new' as const }
  const answers = await createReference(files.onnx, model)
  const { file } = await requests.file(kind)
  const targets: Target[] = [await startEmpty(folder, { ANSWER: anAnswer })]
  try {
    for (const name of ['multigate', 'processes', 'fastify'] satisfies ServerName[]) {
      const server: ServerKind = servers[name]
      const running = await startServer(
        server,
        {
          ...{ model, files, setup: server.setup(scenario), python: '', plans: join(cache, 'plans') },
          folder: join(folder, `${scenario.name}-${name}`),
        },
        // The one in Node has no probe: it answers when its session is open.
        async (base) => (await fetch(new URL('/readyz', base))).status !== 503,
      )
      targets.push({ ...running, title: server.title, runs: [] })
      await checkAnswers(running, server, 'tensors', model, requests.sample(kind), answers)
    }
    await run(scenario.name, targets, forms.tensors.path(), file)
    return targets
  } finally {
    await Promise.all(targets.map(({ stop }) => stop()))
  }
}

/** With a deadline that nothing can meet, each request is refused by its headers. */
async function refusals({ cache, folder, requests, run }: Bench): Promise<Target[]> {
  const scenario = { ...scenarios.find(({ name }) => name === 'S3')!, model: 'small' as const }
  const model = referenceModels.small
  const files = await prepareModel(model, cache)
  const file = join(folder, 'refused')
  await writeRequests(
    file,
    requests.sample({ scenario, candidates: 'new' }).map((query) => {
      const { headers, body } = forms.tensors.render(query, model)
      return { headers: { ...headers, 'x-deadline-ms': '0.001' }, body }
    }),
  )
  const targets: Target[] = [await startEmpty(folder, { REFUSES: '1' })]
  try {
    const server: ServerKind = servers.multigate
    const running = await startServer(
      server,
      {
        ...{ model, files, setup: server.setup(scenario), python: '', plans: join(cache, 'plans') },
        folder: join(folder, 'refusals'),
      },
      async (base) => (await fetch(new URL('/readyz', base))).ok,
    )
    targets.push({ ...running, title: server.title, runs: [] })
    await run('refusals', targets, forms.tensors.path(), file)
    return targets
  } finally {
    await Promise.all(targets.map(({ stop }) => stop()))
  }
}

/** An answer of the small model, with an id: as long as ours. */
const anAnswer = JSON.stringify({
  model: 'small',
  version: '1',
  request_id: '40c463e1-ad8c-4ec3-8b05-596ca8e01f94',
  predictions: [{ ctr: 0.58976781, cvr: 0.65074039 }],
})

async function startEmpty(folder: string, env: Record<string, string>): Promise<Target> {
  const port = await freePort()
  const base = new URL(`http://127.0.0.1:${port}`)
  const group: ServingGroup = await startGroup({
    command: process.execPath,
    args: [...serverArgv([]), script('competitors/servers/empty.js')],
    env: { ...process.env, PORT: String(port), ...env },
    folder,
    ready: async () => (await fetch(base, { method: 'POST', body: '{}' })).status < 500,
    patience,
  })
  return { base, group: group.leader, stop: group.stop, title: emptyHandler, runs: [] }
}

/** Median over the rounds, of a run and of the same round's run of the first server. */
function ofRounds(
  { runs }: Target,
  [first]: readonly Target[],
  value: (run: ClosedRun, empty: ClosedRun) => number,
): number {
  return median(runs.map((run, round) => value(run, first!.runs[round]!)))
}

function compared(targets: readonly Target[]): string {
  const fastify = targets.filter(({ title }) => title === servers.fastify.title)
  const columns: Columns<Target> = {
    server: ({ title }) => title,
    'req/s': (target) => whole(ofRounds(target, targets, (run) => run.requestsPerSecond)),
    '÷ empty handler': (target) =>
      decimal(ofRounds(target, targets, (run, empty) => run.requestsPerSecond / empty.requestsPerSecond)),
    '÷ Fastify + ort': (target) =>
      decimal(ofRounds(target, fastify, (run, other) => run.requestsPerSecond / other.requestsPerSecond)),
    'CPU, µs/req': (target) => decimal(ofRounds(target, targets, (run) => run.serverMs * 1000)),
    'p99, ms': (target) => decimal(ofRounds(target, targets, (run) => run.p99)),
    errors: ({ runs }) => whole(runs.reduce((sum, { errors }) => sum + errors, 0)),
  }
  return table(columns, targets)
}

function refused(targets: readonly Target[], seconds: number): string {
  const columns: Columns<Target> = {
    server: ({ title }) => title,
    'refusals/s': (target) => whole(ofRounds(target, targets, (run) => run.errors / seconds)),
    'CPU, µs each': (target) => decimal(ofRounds(target, targets, (run) => run.serverMs * 1000)),
    'answered otherwise': ({ runs }) => whole(runs.reduce((sum, run) => sum + run.requestsPerSecond * seconds, 0)),
  }
  return table(columns, targets)
}

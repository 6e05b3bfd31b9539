// Measures requests that cost little beside Node's HTTP server itself: one row, and refusals by headers.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { serverArgv } from '../src/app/v8-flags.ts'
import { median } from '../src/base/arrays.ts'
import { startGroup } from './children.ts'
import { defaultCache } from './competitors/arguments.ts'
import { checkAnswers, createReference } from './competitors/check.ts'
import { type ClosedRun, createClosedLoop } from './competitors/closed-loop.ts'
import { forms } from './competitors/forms.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { createRequests, type Requests } from './competitors/requests.ts'
import { type Scenario, scenarios } from './competitors/scenarios.ts'
import { type RunningServer, type ServerKind, type ServerName, servers, startReady } from './competitors/servers.ts'
import { experiment, inTurns, temporaryFolder, withServers } from './experiment.ts'
import { freePort } from './free-port.ts'
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
}

/** A server, and its runs. */
interface Measured {
  title: string
  runs: ClosedRun[]
}

/** Runs servers in turns, several rounds, so that all meet the machine in the same states. */
export default experiment({
  description: "Measure requests of one row, and refusals, beside Node's HTTP server itself",
  options: {
    rounds: ['<number>', 'runs of each server, in turns', Number, 5],
    seconds: ['<number>', 'one run, whole seconds', Number, 2],
  },
  async run({ rounds, seconds }, { machine: { date, processor, versions }, log }) {
    const cache = defaultCache()
    const folder = await temporaryFolder(cache)
    const closedLoop = createClosedLoop()
    const bench: Bench = {
      cache,
      folder,
      requests: createRequests(join(folder, 'requests'), seed),
      async run(name, targets, file) {
        const load = ({ base, group }: Target, start: number, duration: number) => {
          const url = new URL(forms.tensors.path(), base)
          return closedLoop.run({ url, group, file, start, connections, seconds: duration })
        }
        for (const target of targets) await load(target, 0, warmUp)
        const runs = await inTurns(targets, rounds, async (target, round) => {
          const run = await load(target, 1000 * round, seconds)
          log(`${name}  ${round + 1}/${rounds}  ${target.title}: ${(run.serverMs * 1000).toFixed(1)} µs a request`)
          return run
        })
        return targets.map(({ title }, i) => ({ title, runs: runs[i]! }))
      },
    }
    const parts: string[] = []
    for (const scenario of scenarios.filter(({ rows }) => Math.max(...rows) === 1))
      parts.push(`## ${scenario.name}: ${scenario.title}\n\n${compared(await oneRow(bench, scenario))}`)
    parts.push(
      `## Refusals by headers\n\nEach request brings 100 rows, and a deadline that nothing can meet.\n\n${refused(await refusals(bench), seconds)}`,
    )
    return `# Small requests

${date}, ${processor}, ${cores} cores, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. ${connections} connections by ${closedLoop.generator}, which
shares the cores. Medians of ${rounds} runs of ${seconds} s; servers take turns, and each ratio is the median of the rounds' own. Every
server's answers were checked first. The empty handler parses the same JSON and sends one answer; of a refused request it
reads no body. Made by \`npm run loadtest -- small\`.

${parts.join('\n\n')}
`
  },
})

/** The things that all measurements share. */
interface Bench {
  cache: string
  folder: string
  requests: Requests
  /** Warms servers up, and runs them in turns with the requests of a file. */
  run(name: string, targets: Target[], file: string): Promise<Measured[]>
}

async function oneRow({ cache, folder, requests, run }: Bench, scenario: Scenario): Promise<Measured[]> {
  const model = referenceModels[scenario.model]
  const files = await prepareModel(model, cache)
  const kind = { scenario, form: 'tensors' as const, candidates: 'new' as const }
  const answers = await createReference(files.onnx, model)
  const { file } = await requests.file(kind)
  const start = async (name: ServerName) => {
    const server: ServerKind = servers[name]
    const options = { model, files, scenario, cache, folder: join(folder, `${scenario.name}-${name}`) }
    return { ...(await startReady(server, options)), title: server.title }
  }
  const names = ['multigate', 'processes', 'fastify'] as const
  const starts = [() => startEmpty(folder, { ANSWER: anAnswer }), ...names.map((name) => () => start(name))]
  return withServers(starts, async (targets) => {
    for (const [i, name] of names.entries())
      await checkAnswers(targets[i + 1]!, servers[name], 'tensors', model, requests.sample(kind), answers)
    return run(scenario.name, targets, file)
  })
}

/** With a deadline that nothing can meet, each request is refused by its headers. */
async function refusals({ cache, folder, requests, run }: Bench): Promise<Measured[]> {
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
  const { title } = servers.multigate
  const options = { model, files, scenario, cache, folder: join(folder, 'refusals') }
  const starts = [
    () => startEmpty(folder, { REFUSES: '1' }),
    async () => ({ ...(await startReady(servers.multigate, options)), title }),
  ]
  return withServers(starts, (targets) => run('refusals', targets, file))
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
  const { leader, stop } = await startGroup({
    command: process.execPath,
    args: [...serverArgv([]), script('competitors/servers/empty.js')],
    env: { ...process.env, PORT: String(port), ...env },
    folder,
    ready: async () => (await fetch(base, { method: 'POST', body: '{}' })).status < 500,
    patience,
  })
  return { base, group: leader, stop, title: emptyHandler }
}

/** Median over the rounds, of a run and of the same round's run of the first server. */
function ofRounds(
  { runs }: Measured,
  [first]: readonly Measured[],
  value: (run: ClosedRun, empty: ClosedRun) => number,
): number {
  return median(runs.map((run, round) => value(run, first!.runs[round]!)))
}

function compared(targets: readonly Measured[]): string {
  const fastify = targets.filter(({ title }) => title === servers.fastify.title)
  const columns: Columns<Measured> = {
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

function refused(targets: readonly Measured[], seconds: number): string {
  const columns: Columns<Measured> = {
    server: ({ title }) => title,
    'refusals/s': (target) => whole(ofRounds(target, targets, (run) => run.errors / seconds)),
    'CPU, µs each': (target) => decimal(ofRounds(target, targets, (run) => run.serverMs * 1000)),
    'answered otherwise': ({ runs }) => whole(runs.reduce((sum, run) => sum + run.requestsPerSecond * seconds, 0)),
  }
  return table(columns, targets)
}

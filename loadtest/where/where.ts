// Finds where the processor time between the socket and the engine goes: a table of threads and kinds of code that adds
// up to the time of the processors, and what the engine alone could do.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { median } from '../../src/base/arrays.ts'
import { defaultCache } from '../competitors/arguments.ts'
import { type AloneTimes, ceilingOf, timeAlone } from '../competitors/ceiling.ts'
import { urlOf } from '../competitors/check.ts'
import { type ClosedRun, createClosedLoop } from '../competitors/closed-loop.ts'
import type { FormName } from '../competitors/forms.ts'
import { modelsIn, prepareModel, referenceModels } from '../competitors/models.ts'
import type { Candidates } from '../competitors/queries.ts'
import { createRequests } from '../competitors/requests.ts'
import { meanRows, type Scenario, scenarios } from '../competitors/scenarios.ts'
import { type RunningServer, type ServerName, servers, startReady } from '../competitors/servers.ts'
import { experiment, temporaryFolder } from '../experiment.ts'
import { percent, tableOf, whole } from '../markdown.ts'
import { readMetrics } from '../multigate.ts'
import { type Kind, kindOf, kinds, lackingPerf, sampleWhile } from './samples.ts'
import { type Role, readThreads, rolesOf, type ThreadTime, takenBetween } from './threads.ts'

/** A kind of request to a server of ours. */
interface Case {
  title: string
  server: ServerName
  scenario: Scenario['name']
  form: FormName
  candidates: Candidates
}

const cases: readonly Case[] = [
  { title: 'float32, new', server: 'multigate', scenario: 'S3', form: 'binary', candidates: 'new' },
  { title: 'float32, cached', server: 'multigate', scenario: 'S3', form: 'binary', candidates: 'seen' },
  { title: 'float32, cached, columns', server: 'multigate', scenario: 'S3', form: 'columns', candidates: 'seen' },
  { title: 'int8, new', server: 'int8', scenario: 'S3', form: 'binary', candidates: 'new' },
  { title: 'int8, cached', server: 'int8', scenario: 'S3', form: 'binary', candidates: 'seen' },
  { title: 'small, one row', server: 'multigate', scenario: 'S1', form: 'tensors', candidates: 'new' },
]

const seed = 7
const connections = 32
/** V8 compiles for some seconds, in threads of its own. */
const warmUpSeconds = 8
const cores = availableParallelism()

/** A run under load. */
interface Served extends ClosedRun {
  /** µs of a request, by thread. */
  threads: ReturnType<typeof takenBetween>
  /** Requests of a call of the engine. */
  together: number
}

/** µs of a request, by thread and kind of code. */
type Parts = Map<Role, Map<Kind, number>>

interface Found {
  title: string
  bodyBytes: number
  served: Served[]
  alone: AloneTimes[]
  parts: Parts | undefined
}

export default experiment({
  description: 'Find where the time between the socket and the engine goes',
  options: {
    cases: ['<list>', `titles of cases, separated by semicolons: ${cases.map(({ title }) => title).join('; ')}`, list],
    seconds: ['<number>', 'time of a run', Number, 5],
    repeats: ['<number>', 'runs of each case, in turns with its engine', Number, 3],
    cache: ['<folder>', 'folder of models, requests and plans', String, defaultCache()],
  },
  async run({ cases: chosen, ...options }, { machine: { date, processor, versions }, log }) {
    const lacking = lackingPerf()
    const found: Found[] = []
    for (const one of cases) {
      if (chosen !== undefined && !chosen.includes(one.title)) continue
      log(one.title)
      found.push(await measure(one, { ...options, sampled: lacking === undefined }))
    }
    return `# Where the time goes

${date}, ${processor}, ${cores} cores, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. One server, and ${createClosedLoop().generator} with ${connections} connections
on the same cores; medians of ${options.repeats} runs of ${options.seconds} s, each after one of the engine alone. Made by \`npm run loadtest -- where\`.

## What the engine alone could do

Its calls take turns with nothing, on every core at the same time, the context's part included: warm, and cold, each
after 64 MiB of other memory have gone through the caches. The ceiling is that of warm calls.

${tableOf(found.map(shareRow))}

## Threads

µs of a request, and how often threads began to wait or lost their processor. Ready: they could have run, and had none.

${tableOf(found.flatMap(threadRows), 2)}

## Code

${lacking === undefined ? codeTable(found) : `Not measured: ${lacking}.`}
`
  },
})

function list(text: string): string[] {
  return text.split(';').map((title) => title.trim())
}

interface MeasureOptions {
  seconds: number
  repeats: number
  cache: string
  sampled: boolean
}

async function measure(one: Case, { seconds, repeats, cache, sampled }: MeasureOptions): Promise<Found> {
  const scenario = scenarios.find(({ name }) => name === one.scenario)!
  const model = referenceModels[scenario.model]
  const kind = servers[one.server]
  const files = await prepareModel(model, cache)
  const requests = createRequests(join(cache, 'requests'), seed)
  const { file, meanBytes } = await requests.file({ scenario, form: one.form, candidates: one.candidates })
  const server = await startReady(kind, { model, files, folder: await temporaryFolder(), scenario, cache })
  try {
    const url = urlOf(server.base, kind, one.form, model)
    let start = 0
    const load = async (time: number) => {
      const run = await createClosedLoop().run({ url, group: server.group, file, start, connections, seconds: time })
      // Candidates recur as late as possible.
      start += Math.ceil(run.requestsPerSecond * time)
      return run
    }
    await load(warmUpSeconds)
    const models = modelsIn(files, 'precision' in kind ? kind.precision : undefined)
    const alone = {
      ...{ models, name: model.name, cache: join(cache, 'plans'), rows: Math.round(meanRows(scenario)) },
      ...{ candidates: one.candidates, seconds: seconds / 2 },
    }
    const found: Pick<Found, 'alone' | 'served'> = { alone: [], served: [] }
    for (let i = 0; i < repeats; i++) {
      found.alone.push(await timeAlone(alone))
      found.served.push(await serve(server, () => load(seconds)))
    }
    const parts = sampled ? await sampleParts(server, () => load(seconds)) : undefined
    return { title: one.title, bodyBytes: meanBytes, ...found, parts }
  } finally {
    await server.stop()
  }
}

async function serve(server: RunningServer, load: () => Promise<ClosedRun>): Promise<Served> {
  const [metrics, threads] = [await readMetrics(server.base), await readThreads(server.group)]
  const run = await load()
  const [after, then] = [await readMetrics(server.base), await readThreads(server.group)]
  const more = (name: string) => after(name) - metrics(name)
  const taken = takenBetween(threads, then)
  const answers = more('multigate_batch_requests_sum')
  for (const time of taken.values()) for (const key of Object.keys(time) as (keyof typeof time)[]) time[key] /= answers
  return { ...run, threads: taken, together: answers / more('multigate_batch_requests_count') }
}

async function sampleParts(server: RunningServer, load: () => Promise<ClosedRun>): Promise<Parts> {
  const { result: served, samples } = await sampleWhile(server.group, () => serve(server, load))
  const roles = rolesOf([...(await readThreads(server.group)).keys()])
  const counts: Parts = new Map()
  const totals = new Map<Role, number>()
  for (const sample of samples) {
    const role = roles.get(sample.thread)
    if (role === undefined) continue
    const own = counts.get(role) ?? new Map<Kind, number>()
    const kind = kindOf(sample)
    counts.set(role, own.set(kind, (own.get(kind) ?? 0) + 1))
    totals.set(role, (totals.get(role) ?? 0) + 1)
  }
  for (const [role, own] of counts)
    for (const [kind, count] of own) own.set(kind, (count / totals.get(role)!) * served.threads.get(role)!.ran)
  return counts
}

const medianOf = <T>(runs: readonly T[], figure: (run: T) => number) => median(runs.map(figure))

function shareRow({ title, bodyBytes, served, alone }: Found): Record<string, string> {
  const [warm, cold] = [medianOf(alone, (time) => time.warm), medianOf(alone, (time) => time.cold)]
  const rate = medianOf(served, (run) => run.requestsPerSecond)
  const ceiling = ceilingOf(alone)
  return {
    case: title,
    'body, bytes': whole(bodyBytes),
    variant: alone[0]!.variant,
    'warm, µs': whole(warm),
    'cold, µs': whole(cold),
    'ceiling, req/s': whole(ceiling),
    'served, req/s': whole(rate),
    share: (rate / ceiling).toFixed(2),
    'requests a call': medianOf(served, (run) => run.together).toFixed(2),
  }
}

const roles: readonly Role[] = ['main thread', 'workers', 'V8', 'libuv']

function threadRows({ title, served }: Found): Record<string, string>[] {
  const of = (role: Role, key: keyof ThreadTime) => medianOf(served, ({ threads }) => threads.get(role)?.[key] ?? 0)
  const rows = roles.map((role) => ({
    case: title,
    threads: role as string,
    'processor, µs': whole(of(role, 'ran')),
    'of it in the kernel': percent(of(role, 'system') / Math.max(1e-9, of(role, 'user') + of(role, 'system'))),
    'ready, µs': whole(of(role, 'ready')),
    waits: of(role, 'waits').toFixed(2),
    preempted: of(role, 'preempted').toFixed(2),
  }))
  const each = medianOf(served, (run) => (cores * 1e6) / run.requestsPerSecond)
  const server = roles.reduce((sum, role) => sum + of(role, 'ran'), 0)
  const generator = medianOf(served, (run) => (run.generatorCores * 1e6) / run.requestsPerSecond)
  const rest = (threads: string, µs: number) => ({
    ...{ case: title, threads, 'processor, µs': whole(µs) },
    ...{ 'of it in the kernel': '', 'ready, µs': '', waits: '', preempted: '' },
  })
  return [
    ...rows,
    rest('generator', generator),
    rest('idle, and others', each - server - generator),
    rest('**all processors**', each),
  ]
}

/** A row for each thread and kind of code, a column for each case. */
function codeTable(found: readonly Found[]): string {
  const rows: Record<string, string>[] = []
  const add = (threads: string, code: string, values: readonly number[]) =>
    rows.push({ threads, code, ...Object.fromEntries(found.map(({ title }, i) => [title, whole(values[i]!)])) })
  for (const role of roles)
    for (const kind of kinds) {
      const values = found.map(({ parts }) => parts?.get(role)?.get(kind) ?? 0)
      if (values.some((value) => value >= 1)) add(role, kind, values)
    }
  const sum = found.map(({ parts }) =>
    [...(parts?.values() ?? [])].reduce((all, own) => all + [...own.values()].reduce((a, b) => a + b, 0), 0),
  )
  add('**server**', '', sum)
  return `µs of a request, by samples of \`perf\` in a run of their own. Made at run time: the code of V8 for JavaScript and
WebAssembly, and that of oneDNN.

${tableOf(rows, 2)}`
}

// Measures what the prediction log costs: servers without it, with one request in a hundred, and with all.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { manifestFile } from '../src/model/serving/bundle/manifest.ts'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { logFiles } from '../src/prediction-log/log-records.ts'
import type { Manifest } from '../src/schemas/manifest.ts'
import { createRandom } from '../src/tools/data/random.ts'
import { createQueries, toBody } from './bodies.ts'
import { adsFunnel, type Cost, draw, ids, post, processorTime } from './by-id.ts'
import { defaultCache } from './competitors/arguments.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { experiment, inTurns, type Log, temporaryFolder, withServers } from './experiment.ts'
import { tableOf } from './markdown.ts'
import { type Multigate, readMetrics, shipped, startMultigate } from './multigate.ts'

/** Different requests, those of a run, and how many wait for their answers at a time. */
const distinct = 200
const ofARun = 400
const together = 8
/** Time for the thread to write what a run has left, ms. */
const settling = 200

interface Subject {
  title: string
  models: string
  candidates: number
  bodies: (Buffer | string)[]
}

export default experiment({
  description: 'Measure what the prediction log costs a server',
  options: { rounds: ['<number>', 'runs of each server, in turns', Number, 20] },
  async run({ rounds }, { machine: { date, processor, cores, versions }, log }) {
    const wide = referenceModels.prod
    const { models: wideModels } = await prepareModel(wide, defaultCache())
    const subjects = [
      await withValues('ads-funnel', shipped, 'ads-funnel', 20),
      await withValues('ads-funnel', shipped, 'ads-funnel', 100),
      await byId(100),
      await withValues('wide', wideModels, wide.name, 100),
    ]
    const rows: Record<string, string>[] = []
    for (const subject of subjects) rows.push(...(await measure(subject, rounds, log)))
    return `# Cost of the prediction log

${date}, ${processor}, ${cores} cores, Node ${versions.node}. Three servers on the same machine as their client, ${rounds} runs of ${ofARun} requests
each in turns, columns or ids, ${together} at a time; µs of processor time a request. Differences to the server without a log are
means of paired runs, with twice their standard error; they hold what threads that share two cores take from each
other. Made by \`npm run loadtest -- prediction-log\`.

${tableOf(rows)}
`
  },
})

async function measure(subject: Subject, rounds: number, log: Log): Promise<Record<string, string>[]> {
  const { title, models, candidates, bodies } = subject
  const folders = [await temporaryFolder(), await temporaryFolder()]
  const start = (settings: Record<string, string>) => () => startMultigate({ models, settings })
  const logging = (i: number, sample: string) => ({
    MULTIGATE_PREDICTION_LOG: folders[i]!,
    MULTIGATE_PREDICTION_LOG_SAMPLE: sample,
    MULTIGATE_PREDICTION_LOG_SLOW: sample,
  })
  const starts = [start({}), start(logging(0, '0.01')), start(logging(1, '1'))]
  return withServers(starts, async (servers) => {
    log(`${title}, ${candidates} candidates: warming up`)
    await inTurns(servers, 3, (server) => costOf(server, bodies))
    const costs = await inTurns(servers, rounds, (server, round) => {
      if (server === servers[0]) log(`${title}, ${candidates} candidates: round ${round + 1} of ${rounds}`)
      return costOf(server, bodies)
    })
    const [base] = costs as [Cost[]]
    const more = (of: readonly Cost[], which: keyof Cost) =>
      difference(of.map((cost, i) => cost[which] - base[i]![which]))
    const read = await readMetrics(servers[2]!.url)
    const records = read('multigate_log_records_total')
    const perCandidate = (await bytesOf(folders[1]!)) / records / candidates
    return ['none', '1 %', 'all'].map((logged, i) => ({
      model: title,
      candidates: String(candidates),
      logged,
      'main thread': i === 0 ? mean(base.map(({ main }) => main)).toFixed(0) : more(costs[i]!, 'main'),
      'all threads': i === 0 ? mean(base.map(({ all }) => all)).toFixed(0) : more(costs[i]!, 'all'),
      'bytes a candidate': i === 2 ? perCandidate.toFixed(0) : '',
      dropped: i === 2 ? String(read('multigate_log_dropped_total')) : '',
    }))
  })
}

async function withValues(title: string, models: string, name: string, candidates: number): Promise<Subject> {
  const manifest = JSON.parse(await readFile(join(models, name, '1', manifestFile), 'utf8')) as Manifest
  const query = createQueries(manifest.features, 1)
  const encoder = encoderOf(manifest)
  const body = () => toBody(query(candidates), 'columns', encoder, { model: name })
  return { title, models, candidates, bodies: Array.from({ length: distinct }, body) }
}

/** Keys, whose values come from tables. */
async function byId(candidates: number): Promise<Subject> {
  const subject = await adsFunnel(await temporaryFolder())
  const random = createRandom(5)
  const bodies = Array.from({ length: distinct }, () => draw(subject, ids, candidates, random))
  return { title: 'ads-funnel by id', models: subject.models, candidates, bodies }
}

async function costOf({ url, pid }: Multigate, bodies: Subject['bodies']): Promise<Cost> {
  const before = await processorTime(pid)
  let next = 0
  const client = async () => {
    while (next < ofARun) await post(url, bodies[next++ % bodies.length]!)
  }
  await Promise.all(Array.from({ length: together }, client))
  await sleep(settling)
  const after = await processorTime(pid)
  return { main: (after.main - before.main) / ofARun, all: (after.all - before.all) / ofARun }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

function difference(values: readonly number[]): string {
  const center = mean(values)
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0)
  const error = Math.sqrt(squares / (values.length - 1) / values.length)
  return `${center >= 0 ? '+' : '−'}${Math.abs(center).toFixed(0)} ± ${(2 * error).toFixed(0)}`
}

async function bytesOf(folder: string): Promise<number> {
  const sizes = await Promise.all((await logFiles(folder)).map(async ({ path }) => (await stat(path)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

// Measures a large table in each format of its rows: bytes, start, requests, and what answers differ by.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Manifest } from '../src/schemas/manifest.ts'
import type { ModelDetails } from '../src/schemas/models.ts'
import { quantile } from '../src/tools/load/open-loop.ts'
import { createPacedClient, post } from './clients.ts'
import { type Answer, probabilitiesOf } from './competitors/forms.ts'
import { experiment, inTurns, temporaryFolder, withServers } from './experiment.ts'
import { adFeatures, drawBodies, writeLargeVersion } from './large-version.ts'
import { mebibytes, tableOf } from './markdown.ts'
import { type Multigate, proportionalMemory, startMultigate, withMultigate } from './multigate.ts'

/** Requests of 100 candidates per second, at a steady pace. */
const rate = 100
const formats = ['float32', 'float16', 'int8'] as const
type Format = (typeof formats)[number]

/** A server with the table in one format. */
interface Served extends Multigate {
  format: Format
  /** The time until an earlier server was ready, which compiled the plan, s; this one reads it from the cache. */
  first: number
  /** Bytes of the table's files. */
  bytes: number
}

/** Serves one version with its table in each format, and asks them in turns. */
export default experiment({
  description: 'Measure a large table in each format of its rows',
  options: {
    ids: ['<number>', 'rows of the table', Number, 10_000_000],
    seconds: ['<number>', 'length of each turn', Number, 10],
    rounds: ['<number>', 'turns of each format', Number, 6],
  },
  async run({ ids, seconds, rounds }, { machine: { date, processor, cores, loadBefore, versions }, log }) {
    const models = join(await temporaryFolder(), 'models')
    log(`writing a table of ${ids} rows`)
    const features = adFeatures(ids)
    const version = await writeLargeVersion(models, {
      ...{ name: 'ads', features, hidden: 128, precision: 'float32', rows: 4096 },
    })
    const starts = formats.map((format) => async () => {
      const served = await serveAs(format, models, version)
      log(`${format}: ready`)
      return served
    })
    const rows = await withServers(starts, async (all) => {
      const drawn = drawBodies(features, 500)
      const clients = new Map(all.map((served) => [served, createPacedClient(served, drawn, rate)]))
      // The first round is not counted.
      const turns = await inTurns(all, rounds + 1, async (served, round) => {
        const { times } = await clients.get(served)!.during(() => sleep(seconds * 1000))
        log(`round ${round}, ${served.format}: p50 ${quantile(times, 0.5).toFixed(2)} ms`)
        return times
      })
      const asked = drawBodies(features, 200, 2)
      const answers = await Promise.all(all.map((served) => answersOf(served, asked)))
      return Promise.all(all.map((served, i) => describe(served, turns[i]!.slice(1).flat(), answers[i]!, answers[0]!)))
    })
    return `# Large tables in narrow formats

${date}, ${processor}, ${cores} cores, load ${loadBefore.toFixed(1)} before, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. A table of ${ids.toLocaleString('en')} ids × 16,
seven other fields in it; a server of one worker per format, asked in turns: ${rounds} × ${seconds} s each; ${rate} requests of 100 random
candidates per second, as JSON. First start: with compilation and, for float16 and int8, with the check. Mapped: pages of
all files that were read. Differences: from float32, of 40,000 probabilities, and the 99th percentile of logits. Made by
\`npm run loadtest -- narrow-tables\`.

${tableOf(rows)}
`
  },
})

/** Starts a server twice: without a compiled plan, and with it. */
async function serveAs(format: Format, models: string, version: string): Promise<Served> {
  const file = join(version, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  await writeFile(file, JSON.stringify({ ...manifest, tables: format }))
  const settings = {
    MULTIGATE_CACHE: join(models, '.cache'),
    MULTIGATE_WORKERS: '1',
    // A changed manifest is of the next server.
    MULTIGATE_POLL_SECONDS: '3600',
    MULTIGATE_DEADLINE_MS: '10000',
  }
  const first = await withMultigate({ models, settings }, async ({ ready }) => ready)
  const server = await startMultigate({ models, settings })
  const { plan, memory } = (await (await fetch(`${server.url}/models/ads`)).json()) as ModelDetails
  if (plan?.tables !== format) throw new Error(`not ${format}: ${plan?.notes.join('; ')}`)
  return { ...server, format, first, bytes: memory!.tables }
}

async function describe(served: Served, times: number[], answers: number[], exact: number[]) {
  const logit = (p: number) => Math.log(p / (1 - p))
  const differences = answers.map((p, i) => Math.abs(p - exact[i]!))
  const logits = answers.map((p, i) => Math.abs(logit(p) - logit(exact[i]!)))
  return {
    tables: served.format,
    'table, MiB': mebibytes(served.bytes),
    'first start, s': served.first.toFixed(1),
    'next start, s': served.ready.toFixed(1),
    'mapped, MiB': mebibytes((await proportionalMemory(served.pid)).files),
    'p50, ms': quantile(times, 0.5).toFixed(2),
    'p99, ms': quantile(times, 0.99).toFixed(1),
    'largest \\|Δp\\|': Math.max(...differences).toExponential(1),
    'p99 \\|Δlogit\\|': quantile(logits, 0.99).toExponential(1),
  }
}

async function answersOf({ url }: Multigate, asked: readonly string[]): Promise<number[]> {
  const all: number[] = []
  for (const body of asked) {
    const answer = await post(`${url}/predict`, body)
    all.push(...probabilitiesOf((await answer.json()) as Answer))
  }
  return all
}

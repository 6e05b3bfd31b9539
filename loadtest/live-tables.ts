// Measures deltas of a large live table: time to apply, requests meanwhile, and memory.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { baseOf } from '../src/model/serving/delta-files/container.ts'
import type { Manifest } from '../src/schemas/manifest.ts'
import { quantile } from '../src/tools/load/open-loop.ts'
import { createPacedClient } from './clients.ts'
import { experiment, type Log, temporaryFolder } from './experiment.ts'
import { adFeatures, dim, drawBodies, placeDelta, prepareDelta, writeLargeVersion } from './large-version.ts'
import { mebibytes, tableOf } from './markdown.ts'
import { type Multigate, proportionalMemory, readMetrics, withMultigate } from './multigate.ts'
import type { ValuesOf } from './options.ts'

/** Requests of 100 candidates per second, at a steady pace. */
const rate = 100

type Row = Record<string, string>

const options = {
  ids: ['<number>', 'rows of the table', Number, 10_000_000],
  seconds: ['<number>', 'length of each phase', Number, 20],
  workers: ['<number>', 'worker threads', Number, 1],
} as const

type Settings = ValuesOf<typeof options>

/** Applies deltas of several sizes to a served version, and asks it all the time. */
export default experiment({
  description: 'Measure deltas of a large live table',
  options,
  async run(settings, { machine: { date, processor, versions }, log }) {
    const { ids, workers } = settings
    const folder = await temporaryFolder()
    const rows: Row[] = []
    for (const live of [false, true]) {
      log(`writing a table of ${ids} rows ${live ? 'with' : 'without'} a live field`)
      const models = join(folder, String(live))
      const features = adFeatures(ids, live)
      const version = await writeLargeVersion(models, {
        ...{ name: 'ads', features, hidden: 128, precision: 'float32', rows: 0 },
      })
      rows.push(...(await measureVersion(models, version, live, settings, log)))
      await rm(models, { recursive: true })
    }
    return `# Live tables

${date}, ${processor}, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. A live table of ${ids.toLocaleString('en')} ids × ${dim}
(${mebibytes(ids * dim * 4)} MiB), seven other fields; ${workers} worker; ${rate} requests of 100 candidates per second, as JSON. Candidates are random, so that
few are cached. To apply: from reading the file until the worker serves the rows, without the wait for the next scan. Memory: of the
process, without the mapped table. Made by \`npm run loadtest -- live-tables\`.

${tableOf(rows)}
`
  },
})

async function measureVersion(models: string, version: string, live: boolean, options: Settings, log: Log) {
  const settings = {
    MULTIGATE_CACHE: join(models, '.cache'),
    MULTIGATE_WORKERS: String(options.workers),
    MULTIGATE_POLL_SECONDS: '0.2',
    // Late answers are measured, not refused.
    MULTIGATE_DEADLINE_MS: '10000',
  }
  return withMultigate({ models, settings }, async (server) => {
    const client = createPacedClient(server, drawBodies(adFeatures(options.ids), 500), rate)
    await client.during(() => sleep(5000))
    const rows: Row[] = []
    const add = async (phase: string, work: () => Promise<string>) => {
      const { result, times } = await client.during(work)
      rows.push({
        phase,
        'to apply one, ms': result,
        'p50, ms': format(quantile(times, 0.5)),
        'p99, ms': format(quantile(times, 0.99)),
        'longest, ms': format(quantile(times, 1)),
        'memory, MiB': await memoryOf(server),
      })
      log(JSON.stringify(rows.at(-1)))
    }
    const idle = () => sleep(options.seconds * 1000, '')
    await add(live ? 'live, no delta' : 'not live', idle)
    if (!live) return rows
    const { files } = JSON.parse(await readFile(join(version, 'manifest.json'), 'utf8')) as Manifest
    const base = baseOf(files)
    let sequence = 0
    for (const [count, deltas] of [
      [1000, 10],
      [100_000, 5],
    ] as const) {
      const name = `${deltas} deltas of ${count.toLocaleString('en')} rows`
      const first = sequence + 1
      for (let i = 0; i < deltas; i++) await prepareDelta(version, base, ++sequence, count, options.ids)
      await add(`while: ${name}`, async () => {
        const seconds: number[] = []
        for (let next = first; next <= sequence; next++) seconds.push(await applyOne(server, version, next))
        return `${format(Math.min(...seconds) * 1000)} … ${format(Math.max(...seconds) * 1000)}`
      })
      await add(`after: ${name}`, idle)
    }
    return rows
  })
}

/** Puts a prepared delta in its place and waits until it is in effect; the seconds that applying it took. */
async function applyOne({ url }: Multigate, version: string, sequence: number): Promise<number> {
  await placeDelta(version, sequence)
  for (;;) {
    const { models } = (await (await fetch(`${url}/models`)).json()) as {
      models: { versions: { deltas: { applied: number; refused: unknown } }[] }[]
    }
    const { applied, refused } = models[0]!.versions[0]!.deltas
    if (refused) throw new Error(JSON.stringify(refused))
    if (applied === sequence) break
    await sleep(20)
  }
  return (await readMetrics(url))('multigate_delta_apply_seconds')
}

const format = (milliseconds: number) => milliseconds.toFixed(milliseconds < 10 ? 1 : 0)

/** Memory that is the process's own, without the mapped table: that is as large as pages of it have been read. */
async function memoryOf({ pid }: Multigate): Promise<string> {
  const { all, files } = await proportionalMemory(pid)
  return mebibytes(all - files)
}

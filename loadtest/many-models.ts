// Measures start-up time and memory of a server with many models: copies of a bundled one.
//   npm run loadtest -- models [--counts 1,40] [--out loadtest/results/models.md]
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { startServing } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'
import type { Machine } from './machine.ts'
import { table } from './markdown.ts'

const mebibyte = 2 ** 20
/** After readiness, before memory is read, ms. */
const settled = 2000

interface Start {
  models: number
  start: 'first' | 'second'
  seconds: number
  resident: number
}

/** Starts a server twice for each number of models: without and with compiled plans in the cache. */
export async function measureModels(
  argv: readonly string[],
  { date, processor, versions }: Machine,
  log: (line: string) => void,
): Promise<void> {
  const { counts, out } = new Command('npm run loadtest -- models')
    .description('Measure start-up time and memory of a server with many models')
    .option(
      '--counts <numbers>',
      'numbers of models, separated by commas',
      (text) => text.split(',').map(Number),
      [1, 40],
    )
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ counts: number[]; out?: string }>()
  const starts: Start[] = []
  for (const models of counts) {
    const folder = await mkdtemp(join(tmpdir(), 'multigate-models-'))
    try {
      await copyModels(join(folder, 'models'), models)
      for (const start of ['first', 'second'] as const) {
        const measured = { models, start, ...(await startOnce(folder)) }
        log(`${models} models, ${start} start: ${measured.seconds.toFixed(1)} s, ${measured.resident.toFixed(0)} MiB`)
        starts.push(measured)
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  }
  /** Growth per model over the smallest number of models. */
  const each = ({ models, start, ...own }: Start, key: 'seconds' | 'resident') => {
    const least = starts.find((other) => other.start === start)!
    return models === least.models ? undefined : (own[key] - least[key]) / (models - least.models)
  }
  const text = `# Many models

${date}, ${processor}, Node ${versions.node}. Copies of \`ads-funnel\` with names of their own; two workers. Time from the
start of the process until \`/readyz\` answers 200; the first start compiles, the second finds plans in the cache. Memory:
resident, ${settled / 1000} s later. Per model: growth over the first number of models. Made by \`npm run loadtest -- models\`.

${table<Start>(
  {
    models: ({ models }) => String(models),
    start: ({ start }) => start,
    'ready after, s': ({ seconds }) => seconds.toFixed(1),
    's per model': (start) => each(start, 'seconds')?.toFixed(2) ?? '',
    'resident, MiB': ({ resident }) => resident.toFixed(0),
    'MiB per model': (start) => each(start, 'resident')?.toFixed(1) ?? '',
  },
  starts,
)}
`
  console.log(text)
  if (out) await writeFile(out, text)
}

export async function copyModels(folder: string, count: number): Promise<void> {
  const source = fileURLToPath(new URL('../../models/ads-funnel/1', import.meta.url))
  const manifest = JSON.parse(await readFile(join(source, 'manifest.json'), 'utf8'))
  for (let i = 0; i < count; i++) {
    const name = `ads-funnel-${i}`
    await cp(source, join(folder, name, '1'), { recursive: true })
    await writeFile(join(folder, name, '1/manifest.json'), JSON.stringify({ ...manifest, name }))
  }
}

async function startOnce(folder: string): Promise<Pick<Start, 'seconds' | 'resident'>> {
  const script = main
  const settings = { MULTIGATE_CACHE: join(folder, 'cache'), MULTIGATE_WORKERS: '2' }
  const started = performance.now()
  const server = await startServing(script, ['--port', '0', '--models', join(folder, 'models')], {
    ...process.env,
    ...settings,
  })
  try {
    while ((await fetch(new URL('/readyz', server.url))).status !== 200) await sleep(50)
    const seconds = (performance.now() - started) / 1000
    await sleep(settled)
    const metrics = await (await fetch(new URL('/metrics', server.url))).text()
    const resident = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]) / mebibyte
    return { seconds, resident }
  } finally {
    await server.stop()
  }
}

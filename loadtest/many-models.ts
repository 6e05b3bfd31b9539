// Measures start-up time and memory of a server with many models: copies of a bundled one.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { experiment, temporaryFolder } from './experiment.ts'
import { table } from './markdown.ts'
import { residentBytes, shipped, withMultigate } from './multigate.ts'
import { numbers } from './options.ts'

/** After readiness, before memory is read, ms. */
const settled = 2000

interface Start {
  models: number
  start: 'first' | 'second'
  seconds: number
  resident: number
}

/** Starts a server twice for each number of models: without and with compiled plans in the cache. */
export default experiment({
  description: 'Measure start-up time and memory of a server with many models',
  options: { counts: ['<numbers>', 'numbers of models, separated by commas', numbers, [1, 40]] },
  async run({ counts }, { machine: { date, processor, versions }, log }) {
    const starts: Start[] = []
    for (const count of counts) {
      const folder = await temporaryFolder()
      const models = join(folder, 'models')
      await copyModel(join(shipped, 'ads-funnel/1'), namesOf(count), models)
      const settings = { MULTIGATE_CACHE: join(folder, 'cache'), MULTIGATE_WORKERS: '2' }
      for (const start of ['first', 'second'] as const) {
        const { seconds, resident } = await withMultigate({ models, settings }, async ({ ready, url }) => {
          await sleep(settled)
          return { seconds: ready, resident: (await residentBytes(url)) / 2 ** 20 }
        })
        log(`${count} models, ${start} start: ${seconds.toFixed(1)} s, ${resident.toFixed(0)} MiB`)
        starts.push({ models: count, start, seconds, resident })
      }
    }
    /** Growth per model over the smallest number of models. */
    const each = ({ models, start, ...own }: Start, key: 'seconds' | 'resident') => {
      const least = starts.find((other) => other.start === start)!
      return models === least.models ? undefined : (own[key] - least[key]) / (models - least.models)
    }
    return `# Many models

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
  },
})

export const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `ads-funnel-${i}`)

/** Copies a version to models of these names. */
export async function copyModel(version: string, names: readonly string[], folder: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(version, 'manifest.json'), 'utf8'))
  for (const name of names) {
    await cp(version, join(folder, name, '1'), { recursive: true })
    await writeFile(join(folder, name, '1/manifest.json'), JSON.stringify({ ...manifest, name }))
  }
}

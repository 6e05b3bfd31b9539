// Measures starts of the server, also beside another build's: the process itself, and until it is ready with the
// shipped models.
import { cp, readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { median } from '../src/base/arrays.ts'
import { parseStat } from './competitors/processor-time.ts'
import { main } from './entries.ts'
import { experiment, inTurns, temporaryFolder } from './experiment.ts'
import { decimal, table } from './markdown.ts'
import { shipped, withMultigate } from './multigate.ts'

interface Start {
  /** Until it listens, and until it is ready; s. */
  listening: number
  ready: number
  /** Processor time of all threads until it is ready, s. */
  processor: number
}

interface Row {
  models: string
  build: string
  starts: Start[]
}

export default experiment({
  description: 'Measure starts of the server; builds take turns',
  options: {
    rounds: ['<number>', 'starts of each kind', Number, 8],
    beside: ['<main.js>', "another build's entry"],
  },
  async run({ rounds, beside }, { machine, log }) {
    const folder = await temporaryFolder()
    const one = join(folder, 'one')
    await cp(join(shipped, 'ads-funnel'), join(one, 'ads-funnel'), { recursive: true })
    const builds = [['this', main], ...(beside ? [['the other', resolve(beside)]] : [])] as [string, string][]
    const kinds = [one, shipped].flatMap((models) =>
      builds.map(([build, script]) => ({ models, build, script, cache: join(folder, `cache-${build}`) })),
    )
    // The first of each compiles the graphs, and is not counted.
    const starts = await inTurns(kinds, rounds + 1, async (kind, round) => {
      if (kind === kinds[0]) log(`round ${round} of ${rounds}`)
      return measureOne(kind.script, kind.models, kind.cache)
    })
    const rows: Row[] = kinds.map(({ models, build }, i) => ({
      models: models === one ? 'one model' : `all models of ${basename(models)}/`,
      build,
      starts: starts[i]!.slice(1),
    }))
    const column = (key: keyof Start) => (row: Row) => {
      const values = row.starts.map((start) => start[key])
      return `${decimal(median(values))} (${decimal(Math.min(...values))} – ${decimal(Math.max(...values))})`
    }
    return `# Starts of the server

${machine.processor}, ${machine.cores} cores, Node.js ${machine.versions.node}. Medians (and the range) of ${rounds}
starts of each kind, which take turns, with one worker, compiled graphs in the cache and without the warm-up over HTTP,
whose length is a setting. Seconds from the start of the process; processor seconds of all its threads until it is ready.

${table<Row>(
  {
    models: ({ models }) => models,
    build: ({ build }) => build,
    'listens, s': column('listening'),
    'ready, s': column('ready'),
    'processor, s': column('processor'),
  },
  rows,
)}
`
  },
})

function measureOne(script: string, models: string, cache: string): Promise<Start> {
  const settings = { MULTIGATE_CACHE: cache, MULTIGATE_WORKERS: '1', MULTIGATE_WARM_UP_MS: '0' }
  return withMultigate({ script, models, settings }, async ({ pid, listening, ready }) => {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    return { listening, ready, processor: parseStat(stat)?.seconds ?? Number.NaN }
  })
}

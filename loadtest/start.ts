// Measures starts of the server, also beside another build's: the process itself, and until it is ready with the
// shipped models.
//   npm run loadtest -- start [--rounds 8] [--beside ../former/build/src/main.js] [--out loadtest/results/start.md]
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { serverArgv } from '../src/app/v8-flags.ts'
import { median } from '../src/base/arrays.ts'
import { startServing, untilReady } from '../src/tools/load/serving.ts'
import { parseStat } from './competitors/processor-time.ts'
import { main } from './entries.ts'
import type { Machine } from './machine.ts'
import { decimal, table } from './markdown.ts'

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

const shipped = join(import.meta.dirname, '../../models')

export async function measureStart(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const options = new Command('npm run loadtest -- start')
    .description('Measure starts of the server; builds take turns')
    .option('--rounds <number>', 'starts of each kind', Number, 8)
    .option('--beside <main.js>', "another build's entry")
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ rounds: number; beside?: string; out?: string }>()
  const folder = await mkdtemp(join(tmpdir(), 'multigate-start-'))
  try {
    const one = join(folder, 'one')
    await mkdir(one)
    await cp(join(shipped, 'ads-funnel'), join(one, 'ads-funnel'), { recursive: true })
    const builds = [['this', main], ...(options.beside ? [['the other', resolve(options.beside)]] : [])] as const
    const rows: Row[] = Object.entries({ one, five: shipped }).flatMap(([models, path]) =>
      builds.map(([build]) => ({
        models: models === 'one' ? 'one model' : `all models of ${path.split('/').at(-1)}/`,
        build,
        starts: [],
      })),
    )
    // The first of each compiles the graphs, and is not counted.
    for (let round = 0; round <= options.rounds; round++) {
      for (const [i, path] of [one, shipped].entries())
        for (const [j, [build, script]] of builds.entries()) {
          const start = await measureOne(script, path, join(folder, `cache-${build}`))
          if (round > 0) rows[i * builds.length + j]!.starts.push(start)
        }
      log(`round ${round} of ${options.rounds}`)
    }
    const text = report(machine, options.rounds, rows)
    console.log(text)
    if (options.out) await writeFile(options.out, text)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureOne(script: string, models: string, cache: string): Promise<Start> {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const env = {
    ...process.env,
    MULTIGATE_CACHE: cache,
    MULTIGATE_WORKERS: '1',
    MULTIGATE_WARM_UP_MS: '0',
    MULTIGATE_DRAIN_DELAY_MS: '0',
  }
  const server = await startServing(script, ['--port', '0', '--models', models], env, serverArgv([]))
  try {
    const listening = seconds()
    await untilReady(server.url)
    const ready = seconds()
    const stat = await readFile(`/proc/${server.process.pid}/stat`, 'latin1')
    return { listening, ready, processor: parseStat(stat)?.seconds ?? Number.NaN }
  } finally {
    await server.stop()
  }
}

function report(machine: Machine, rounds: number, rows: readonly Row[]): string {
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
}

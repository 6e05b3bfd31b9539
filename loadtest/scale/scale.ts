// Measures how the cost of a request, the start and the memory grow: with candidates, fields, experts, ids, models,
// connections, and with the popularity of ads.
//   npm run loadtest -- scale [--axes rows,fields] [--out loadtest/results/scale.md]
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { Command } from 'commander'
import { defaultCache } from '../competitors/arguments.ts'
import { createClosedLoop } from '../competitors/closed-loop.ts'
import type { Machine } from '../machine.ts'
import { type Columns, decimal, table, whole } from '../markdown.ts'
import { axes } from './axes.ts'
import { measurePoint, type Sample } from './measure.ts'
import { type Curve, drawCurves } from './plot.ts'

const names = axes.map(({ name }) => name)

export async function measureScale(
  argv: readonly string[],
  { date, processor, versions }: Machine,
  log: (line: string) => void,
): Promise<void> {
  const { axes: chosen, seconds, most, out } = readOptions(argv)
  const cache = defaultCache()
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'run-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const closedLoop = createClosedLoop()
  const curves: Curve[] = []
  for (const axis of axes.filter(({ name }) => chosen.includes(name))) {
    const samples: { value: number; sample: Sample }[] = []
    for (const value of axis.values.filter((value) => value <= most)) {
      const sample = await measurePoint(axis.pointOf(value), {
        closedLoop,
        cache,
        folder: join(folder, 'point'),
        seconds,
      })
      samples.push({ value, sample })
      log(
        `${axis.name} ${value}: ${sample.cpuMicros.toFixed(1)} µs a request, ready after ${sample.readySeconds.toFixed(1)} s, ${sample.residentMiB.toFixed(0)} MiB`,
      )
    }
    curves.push({ axis, samples })
  }
  const picture = out?.replace(/(\.md)?$/, '.svg')
  const text = `# Curves of cost

${date}, ${processor}, ${availableParallelism()} cores, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. One server per value, defaults, no
deadline; ${closedLoop.generator}, which shares the cores, for ${seconds} s. Except for what grows: an MMoE of 10 categorical and 5 numeric fields,
4 experts of 64 and 32, 100 new candidates per request, 8 connections. Fields: two thirds are categorical. Models, of which one is
asked, and connections, each of which asks again when it has its response: the small model, one candidate. No candidate is
cached, but for popularity: there it is the wide model, with the default cache. "Growth": the factor of the cost ÷ the factor of what grows,
from the value before; at most 1 is linear or better. Made by \`npm run loadtest -- scale\`.
${picture === undefined ? '' : `\n![Curves of cost](${basename(picture)})\n`}
${curves.map(section).join('\n\n')}
`
  console.log(text)
  if (picture === undefined) return
  await writeFile(out!, text)
  await writeFile(picture, await drawCurves(curves))
}

interface Options {
  axes: string[]
  seconds: number
  most: number
  out?: string
}

function readOptions(argv: readonly string[]): Options {
  return new Command('npm run loadtest -- scale')
    .description('Measure how cost grows with candidates, fields, experts, ids, models, connections and popularity')
    .option('--axes <names>', 'comma-separated', (text) => text.split(','), names)
    .option('--seconds <number>', 'one run, whole seconds', Number, 3)
    .option('--most <number>', 'largest value of any axis', Number, Number.POSITIVE_INFINITY)
    .option('--out <file.md>', 'also write the results here, and the curves as SVG next to it')
    .parse(argv, { from: 'user' })
    .opts<Options>()
}

function section({ axis, samples }: Curve): string {
  const previous = (value: number) => samples[samples.findIndex((sample) => sample.value === value) - 1]
  const columns: Columns<Curve['samples'][number]> = {
    [axis.title]: ({ value }) => (value < 10 ? String(value) : whole(value)),
    'CPU per request, µs': ({ sample }) => decimal(sample.cpuMicros),
    growth({ value, sample }) {
      const before = previous(value)
      if (before === undefined || axis.name === 'popularity') return '–'
      return decimal(sample.cpuMicros / before.sample.cpuMicros / (value / before.value))
    },
    'p50, ms': ({ sample }) => decimal(sample.p50),
    'in the cache': ({ sample }) => (sample.hitRate === undefined ? '–' : `${whole(100 * sample.hitRate)} %`),
    'ready after, s': ({ sample }) => decimal(sample.readySeconds),
    'resident, MiB': ({ sample }) => whole(sample.residentMiB),
    errors: ({ sample }) => whole(sample.errors),
  }
  return `## ${axis.name}\n\n${table(columns, samples)}`
}

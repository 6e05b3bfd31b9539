// Measures how the cost of a request, the start and the memory grow: with candidates, fields, experts, ids, models,
// connections, and with the popularity of ads.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defaultCache } from '../competitors/arguments.ts'
import { createClosedLoop } from '../competitors/closed-loop.ts'
import { experiment, temporaryFolder } from '../experiment.ts'
import { type Columns, decimal, table, whole } from '../markdown.ts'
import { axes } from './axes.ts'
import { measurePoint, type Sample } from './measure.ts'
import { type Curve, drawCurves } from './plot.ts'

const names = axes.map(({ name }) => name)

export default experiment({
  description: 'Measure how cost grows with candidates, fields, experts, ids, models, connections and popularity',
  options: {
    axes: ['<names>', 'comma-separated', (text) => text.split(','), names],
    seconds: ['<number>', 'one run, whole seconds', Number, 3],
    most: ['<number>', 'largest value of any axis', Number, Number.POSITIVE_INFINITY],
  },
  out: 'also write the results here, and the curves as SVG next to it',
  async run({ axes: chosen, seconds, most }, { machine: { date, processor, versions }, log, picture }) {
    const cache = defaultCache()
    const folder = await temporaryFolder(cache)
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
    const text = `# Curves of cost

${date}, ${processor}, ${availableParallelism()} cores, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. One server per value, defaults, no
deadline; ${closedLoop.generator}, which shares the cores, for ${seconds} s. Except for what grows: an MMoE of 10 categorical and 5 numeric fields,
4 experts of 64 and 32, 100 new candidates per request, 8 connections. Fields: two thirds are categorical. Models, of which one is
asked, and connections, each of which asks again when it has its response: the small model, one candidate. No candidate is
cached, but for popularity: there it is the wide model, with the default cache. "Growth": the factor of the cost ÷ the factor of what grows,
from the value before; at most 1 is linear or better. Made by \`npm run loadtest -- scale\`.
${picture === undefined ? '' : `\n![Curves of cost](${picture})\n`}
${curves.map(section).join('\n\n')}
`
    return { text, picture: () => drawCurves(curves) }
  },
})

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

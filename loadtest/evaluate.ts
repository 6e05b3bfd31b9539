// Measures `multigate evaluate` on many generated rows: time by stage, rows per second and peak memory.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Progress } from '../src/base/progress.ts'
import { multigateVersion } from '../src/base/project.ts'
import { runEvaluate } from '../src/tools/evaluate/run-evaluate.ts'
import { cli } from './entries.ts'
import { numbers, strings, trainedRows, writeRows } from './evaluate-rows.ts'
import { experiment, type Log, temporaryFolder } from './experiment.ts'
import type { Machine } from './machine.ts'
import { table } from './markdown.ts'

interface Stage {
  name: string
  /** Seconds: on the clock, and of all processors. */
  wall: number
  processor: number
}

/** Generates rows, trains a version on the first of them, and judges it on all. */
export default experiment({
  description: 'Measure the time and memory of an evaluation; needs TensorFlow, to train what is evaluated',
  options: { rows: ['<number>', 'number of rows', Number, 1_000_000] },
  async run({ rows }, { machine, log }) {
    const folder = await temporaryFolder()
    log(`generating ${rows.toLocaleString('en')} rows`)
    await writeRows(folder, rows)
    log('training')
    const models = join(folder, 'models')
    await promisify(execFile)(process.execPath, [cli, 'train', join(folder, 'train.yaml'), '--models', models])
    const stages = await judge(folder, models, log)
    return describe(rows, stages, process.resourceUsage().maxRSS / 1024, machine)
  },
})

async function judge(folder: string, models: string, log: Log): Promise<Stage[]> {
  const stages: Stage[] = []
  const clock = () => ({ wall: performance.now() / 1e3, used: process.cpuUsage() })
  let begun = clock()
  let current = 'starting'
  const enter = (name: string) => {
    if (name === current) return
    const now = clock()
    const processor = (now.used.user + now.used.system - begun.used.user - begun.used.system) / 1e6
    stages.push({ name: current, wall: now.wall - begun.wall, processor })
    log(`${current}: ${stages.at(-1)!.wall.toFixed(1)} s`)
    begun = now
    current = name
  }
  const progress: Progress = { rows: enter, stage: enter, stop: () => enter('writing the report') }
  await runEvaluate({
    data: join(folder, 'rows.yaml'),
    specs: folder,
    models,
    target: 'rows',
    modelVersion: undefined,
    service: undefined,
    precisions: [],
    predictions: undefined,
    part: undefined,
    seed: 1,
    report: join(folder, 'report'),
    json: false,
    gate: undefined,
    command: 'multigate evaluate',
    multigateVersion,
    cache: undefined,
    now: Date.now,
    signal: new AbortController().signal,
    out: { write: () => true },
    err: { write: () => true },
    progress,
  })
  enter('')
  return stages
}

function describe(rows: number, stages: readonly Stage[], mebibytes: number, machine: Machine): string {
  const { date, processor, versions } = machine
  const sum = (seconds: (stage: Stage) => number) => stages.reduce((total, stage) => total + seconds(stage), 0)
  const wall = sum((stage) => stage.wall)
  const all = [...stages, { name: 'all', wall, processor: sum((stage) => stage.processor) }]
  return `# An evaluation of many rows

${date}, ${processor}, Node ${versions.node}. ${rows.toLocaleString('en')} rows of CSV with ${strings} strings and ${numbers} numbers, two tasks, and users as
groups; the version is a shared bottom, trained on ${trainedRows.toLocaleString('en')} rows. Intervals, baselines and slices are included. Made by
\`npm run loadtest -- evaluate\`.

${table<Stage>(
  {
    stage: ({ name }) => name,
    'time, s': ({ wall: seconds }) => seconds.toFixed(1),
    'processor time, s': ({ processor: seconds }) => seconds.toFixed(1),
  },
  all,
)}

${Math.round(rows / wall).toLocaleString('en')} rows per second; at most ${mebibytes.toFixed(0)} MiB of memory.
`
}

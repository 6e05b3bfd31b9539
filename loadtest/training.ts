// Measures training: rows per second of a step alone and of `multigate train`, beside Keras and PyTorch, all on one
// core.
import { execFile } from 'node:child_process'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cli } from './entries.ts'
import { experiment, inTurns, type Log, temporaryFolder } from './experiment.ts'
import type { Machine } from './machine.ts'
import { whole } from './markdown.ts'
import type { ValuesOf } from './options.ts'
import { type NetworkName, networks } from './training/networks.ts'
import { type TrainingCell, type TrainingReport, toMarkdown } from './training/report.ts'
import { writeTrainingFiles } from './training/rows.ts'

interface Measured {
  rate: number
  /** Rows per second of processor time, of steps. */
  processorRate?: number
  /** The time of the whole command. */
  seconds?: number
}

interface Program {
  title: string
  run(network: NetworkName, batch: number): Promise<Measured>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

const options = {
  rounds: ['<count>', 'rounds, interleaved', Number, 3],
  seconds: ['<seconds>', 'length of a measurement', Number, 4],
  batches: ['<sizes>', 'comma-separated', String, '512,2048'],
  networks: ['<names>', 'comma-separated, of small, wide and history', String, 'small,wide,history'],
  core: ['<number>', 'the core that programs are pinned to; two threads also use the one before it', Number, 1],
  keras: ['<python>', 'Python with tensorflow, e.g. of a virtual environment with tensorflow-cpu==2.15.*'],
  pytorch: ['<python>', 'Python with torch'],
} as const

type Settings = ValuesOf<typeof options>

export default experiment({
  description: 'Measure training, beside Keras and PyTorch where they are; needs taskset',
  options,
  out: 'also write the results here, and raw ones beside it',
  async run(options, { machine, log }) {
    const report = await measure(programsOf(options, await temporaryFolder()), options, machine, log)
    return { text: toMarkdown(report), json: report }
  },
})

function programsOf({ core, seconds, keras, pytorch }: Settings, folder: string): Program[] {
  const pinned = async (cores: string, command: string, args: string[]) => {
    const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', MULTIGATE_CACHE: 'off', OMP_NUM_THREADS: '1' }
    return run('taskset', ['-c', cores, command, ...args], { env, cwd: root })
  }
  const lastNumbers = (text: string): Measured => {
    const [rate, processorRate] = text.trim().split('\n').at(-1)!.split(' ').map(Number) as [number, number]
    return { rate, processorRate }
  }
  const own = (threads: number) => async (network: NetworkName, batch: number) => {
    const script = fileURLToPath(new URL('./training/own-step.js', import.meta.url))
    const cores = threads === 1 ? `${core}` : `${core - 1},${core}`
    const args = [script, network, `${batch}`, `${threads}`, `${seconds}`]
    return lastNumbers((await pinned(cores, process.execPath, args)).stdout)
  }
  const python = (command: string, script: string) => async (network: NetworkName, batch: number) => {
    const args = [join(root, 'loadtest/training', script), JSON.stringify(networks[network]), `${batch}`, `${seconds}`]
    return lastNumbers((await pinned(`${core}`, command, args)).stdout)
  }
  const command = async (network: NetworkName, batch: number): Promise<Measured> => {
    await writeTrainingFiles(folder, networks[network], batch)
    const args = [cli, 'train', join(folder, 'bench.json'), '--models', join(folder, 'models'), '--force']
    const begun = performance.now()
    const { stderr } = await pinned(`${core}`, process.execPath, args)
    const rate = /([\d,]+) rows\/s/.exec(stderr)?.[1]?.replaceAll(',', '')
    return { rate: Number(rate), seconds: (performance.now() - begun) / 1000 }
  }
  return [
    { title: 'multigate, step', run: own(1) },
    { title: '`multigate train`', run: command },
    ...(keras ? [{ title: 'Keras, step', run: python(keras, 'keras_step.py') }] : []),
    ...(pytorch ? [{ title: 'PyTorch, step', run: python(pytorch, 'torch_step.py') }] : []),
    { title: 'multigate, step, two threads on two cores', run: own(2) },
  ]
}

async function measure(
  programs: readonly Program[],
  { rounds, seconds, batches, networks: names }: Settings,
  machine: Machine,
  log: Log,
): Promise<TrainingReport> {
  const cells: TrainingCell[] = names.split(',').flatMap((name) => {
    if (!Object.hasOwn(networks, name)) throw new Error(`there is no network ${name}, but small, wide and history`)
    const network = name as NetworkName
    return batches
      .split(',')
      .flatMap((batch) => programs.map(({ title }) => ({ network, batch: Number(batch), program: title, rates: [] })))
  })
  const loads: number[] = []
  await inTurns(cells, rounds, async (cell, round) => {
    if (cell === cells[0]) loads.push(loadavg()[0]!)
    const { network, batch, program, rates } = cell
    const { rate, processorRate, seconds } = await programs.find(({ title }) => title === program)!.run(network, batch)
    if (!(rate > 0)) throw new Error(`${program}: no rate was measured`)
    rates.push(rate)
    if (processorRate !== undefined) cell.processorRates = [...(cell.processorRates ?? []), processorRate]
    if (seconds !== undefined) cell.seconds = [...(cell.seconds ?? []), seconds]
    const busy = processorRate === undefined ? '' : `, ${whole(processorRate)} per second of processor time`
    log(`round ${round + 1} of ${rounds}: ${network}, batch ${batch}, ${program}: ${whole(rate)} rows/s${busy}`)
  })
  return { machine, seconds, loads, cells }
}

import { median } from '../../src/base/arrays.ts'
import type { Machine } from '../machine.ts'
import { type Columns, table, whole } from '../markdown.ts'
import { type NetworkName, networks } from './networks.ts'

/** The figures of one program with one network and batch size. */
export interface TrainingCell {
  network: NetworkName
  batch: number
  program: string
  /** Rows per second, per round. */
  rates: number[]
  /** Rows per second of processor time, per round: what other programs on the machine change little. */
  processorRates?: number[]
  /** The time of `multigate train`, the whole command, per round. */
  seconds?: number[]
}

export interface TrainingReport {
  machine: Machine
  seconds: number
  /** Load average of the minute before each round. */
  loads: number[]
  cells: TrainingCell[]
}

export function toMarkdown({ machine, seconds, loads, cells }: TrainingReport): string {
  const { date, processor, versions } = machine
  const middle = (values: readonly number[]) => median([...values])
  const settings = [...new Set(cells.map(({ network, batch }) => `${network} ${batch}`))]
  const programs = [...new Set(cells.map(({ program }) => program))]
  const find = (program: string, setting: string) =>
    cells.find((cell) => cell.program === program && `${cell.network} ${cell.batch}` === setting)
  const rates = (unit: string, ratesOf: (cell: TrainingCell) => number[] | undefined) => {
    const columns: Columns<string> = { [unit]: (program) => program }
    for (const setting of settings)
      columns[setting.replace(' ', ', batch ')] = (program) => {
        const cell = find(program, setting)
        const values = cell && ratesOf(cell)
        if (values === undefined) return '–'
        return `${whole(middle(values))} (${whole(Math.min(...values))} … ${whole(Math.max(...values))})`
      }
    return table(columns, programs)
  }
  const commands = cells.flatMap(({ network, batch, seconds }) =>
    seconds === undefined ? [] : [`${network}, batch ${batch}: ${middle(seconds).toFixed(1)} s`],
  )
  const described = Object.entries(networks).map(([name, { title }]) => `${name}: ${title}`)
  const rounds = loads.length
  return `# Training

${date}, ${processor}, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. Medians of ${rounds} interleaved rounds (smallest … largest), ${seconds} s each
after a first epoch; every program on one thread and one core, unless its row says otherwise. Load average before the rounds:
${loads.map((load) => load.toFixed(1)).join(', ')}. Made by \`npm run loadtest -- training\`.

Multi-gate mixture of experts with batch normalisation, towers of 32, two tasks, Adam. ${described.join('; ')}.
Rows are in memory; \`multigate train\` reads them from CSV, and its rate is that of its epoch. PyTorch steps the rows of the
table that a batch reads, as multigate does; Keras' Adam steps the whole table.

${rates('rows per second', (cell) => cell.rates)}

${rates('rows per second of processor time', (cell) => cell.processorRates)}

The whole command \`multigate train\`, with reading, judging and writing: ${commands.join('; ')}.
`
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRandom } from '../src/tools/data/random.ts'
import { writePieces } from './write-pieces.ts'

/** Fields of the generated rows: strings of `values` values each, and numbers. */
export const strings = 25
const values = 1000
export const numbers = 15
/** Users, the groups of the rows. */
const users = 200_000
/** Rows that the version is trained on. */
export const trainedRows = 50_000
/** Mean probability of each task, about. */
const positiveRate = 0.02

const stringNames = Array.from({ length: strings }, (_, i) => `s${i}`)
const numberNames = Array.from({ length: numbers }, (_, i) => `n${i}`)

/** Rows as lines of CSV, the header first; the same number gives the same rows. */
export function* csvOf(rows: number): Generator<string> {
  yield `${['user', ...stringNames, ...numberNames, 'click', 'sale'].join(',')}\n`
  const random = createRandom(11)
  const bias = Math.log(positiveRate) - 0.25
  for (let row = 0; row < rows; row++) {
    const cells = [`u${random.integer(users)}`]
    let [click, sale] = [bias, bias]
    for (let i = 0; i < strings; i++) {
      // Low numbers are frequent.
      const value = Math.floor(values * random.uniform() ** 2)
      cells.push(`value ${value}`)
      if (i < 3) click += (value % 7) / 7 - 0.43
      if (i > 0 && i < 5) sale += (value % 5) / 5 - 0.4
    }
    for (let i = 0; i < numbers; i++) {
      const value = random.uniform()
      cells.push(value.toFixed(4))
      if (i < 2) click += value - 0.5
      if (i === 2) sale += value - 0.5
    }
    for (const score of [click, sale]) cells.push(random.uniform() < 1 / (1 + Math.exp(-score)) ? '1' : '0')
    yield `${cells.join(',')}\n`
  }
}

/**
 * Writes `train.csv`, the first rows of `rows.csv`, with a training spec, `train.yaml`, and a spec of the second,
 * `rows.yaml`.
 */
export async function writeRows(folder: string, rows: number): Promise<void> {
  for (const [file, count] of [
    ['train.csv', trainedRows],
    ['rows.csv', rows],
  ] as const)
    await writePieces(join(folder, file), csvOf(count))
  const tasks = [
    { name: 'ctr', label: 'click == "1"' },
    { name: 'cvr', label: 'sale == "1"' },
  ]
  const training = {
    name: 'rows',
    version: 1,
    description: 'A shared bottom over generated rows',
    data: { csv: ['train.csv'] },
    tasks: tasks.map((task) => ({ ...task, calibration: 'platt' })),
    derived: [],
    fields: [
      ...stringNames.map((name) => ({ name, kind: 'vocabulary' })),
      ...numberNames.map((name) => ({ name, kind: 'numeric', scaling: 'standard' })),
    ],
    split: { by: 'order', train: 0.8, validation: 0.1, test: 0.1 },
    architecture: { name: 'shared_bottom', dim_emb: 8 },
    training: { epochs: 3, batch_size: 1024, learning_rate: 0.002, seed: 1 },
  }
  const judging = {
    data: { csv: ['rows.csv'] },
    tasks,
    group: 'user',
    slices: ['s0', 's1', 's2', 'n0', 'n1'],
  }
  // JSON is YAML.
  await writeFile(join(folder, 'train.yaml'), JSON.stringify(training, undefined, 2))
  await writeFile(join(folder, 'rows.yaml'), JSON.stringify(judging, undefined, 2))
}

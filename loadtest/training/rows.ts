import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRandom } from '../../src/tools/data/random.ts'
import { writePieces } from '../write-pieces.ts'
import { type BenchNetwork, optionsOf } from './networks.ts'

/** Writes `rows.csv` and `bench.json`, a spec that trains this network on it for one epoch. */
export async function writeTrainingFiles(folder: string, network: BenchNetwork, batch: number): Promise<void> {
  await writePieces(join(folder, 'rows.csv'), csvOf(network))
  await writeFile(join(folder, 'bench.json'), JSON.stringify(specOf(network, batch)))
}

const names = (letter: string, count: number) => Array.from({ length: count }, (_, i) => `${letter}${i}`)

/** Lines of CSV, the header first. Labels follow from the first number. */
export function* csvOf({ sparseFields, denseFields, ids, tasks, fileRows, history }: BenchNetwork): Generator<string> {
  yield `${[...names('s', sparseFields), ...names('d', denseFields), ...(history ? ['history'] : []), ...tasks].join()}\n`
  const random = createRandom(1)
  const known = knownIds(ids, sparseFields)
  for (let row = 0; row < fileRows; row++) {
    const numbers = Array.from({ length: denseFields }, () => random.normal())
    const labels = tasks.map(() => Number(random.uniform() < 1 / (1 + Math.exp(1 - numbers[0]!))))
    const values = Array.from({ length: sparseFields }, () => random.integer(known))
    const viewed = Array.from({ length: history ? random.integer(history.max + 1) : 0 }, () => random.integer(known))
    const lists = history ? [viewed.join('|')] : []
    yield `${[...values, ...numbers.map((value) => value.toFixed(4)), ...lists, ...labels].join()}\n`
  }
}

/** Every field has an id for unknown values beside them. */
const knownIds = (ids: number, fields: number) => Math.floor(ids / fields) - 1

export function specOf(network: BenchNetwork, batch: number): object {
  const { sparseFields, denseFields, ids, tasks, history } = network
  return {
    name: 'bench',
    data: { csv: ['rows.csv'] },
    tasks: tasks.map((name) => ({ name, label: `${name} == "1"` })),
    fields: [
      ...names('s', sparseFields).map((name) => ({ name, kind: 'integer', size: knownIds(ids, sparseFields) })),
      ...names('d', denseFields).map((name) => ({ name, kind: 'numeric', scaling: 'none' })),
      ...(history ? [listOf(history.max)] : []),
    ],
    ...(history && { sequences: [{ name: 'views', attention: 'din', target: ['s0'], dims: history.dims }] }),
    split: { by: 'order', train: 0.8, validation: 0.1, test: 0.1 },
    architecture: optionsOf(network),
    training: { epochs: 1, batch_size: batch, learning_rate: 0.001, seed: 1 },
  }
}

const listOf = (max: number) => ({
  ...{ name: 'history', kind: 'shared', table: 's0', out_of_vocabulary: 'drop', missing: { default: [] } },
  ...{ list: { max, separator: '|' }, sequence: 'views' },
})

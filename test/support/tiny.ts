import { join } from 'node:path'
import { createRandom } from '../../src/tools/data/random.ts'

/** Specs of the project, from the compiled tests' place: build/test/tools/train. */
export const specs = join(import.meta.dirname, '../../../src/tools/train/specs')

/** A spec over `tiny.csv` beside it, small enough to train in a moment. */
export function tinySpec() {
  return {
    name: 'tiny',
    description: 'Clicks on coloured things',
    data: { csv: ['tiny.csv'] },
    tasks: [
      { name: 'ctr', description: 'Clicked', label: 'click == "1"', calibration: 'platt' },
      { name: 'cvr', label: 'sale == "1"', where: 'click == "1"', weight: 0.5 },
    ],
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
    fields: [
      { name: 'colour', kind: 'vocabulary' },
      { name: 'shop', kind: 'hash', buckets: 8, side: 'context', missing: { default: '' } },
      { name: 'hour', kind: 'integer', size: 24, side: 'context' },
      { name: 'size', kind: 'numeric', missing: { default: 1 } },
      { name: 'is_red', expression: 'colour == "red"', kind: 'numeric', scaling: 'none' },
    ],
    split: { by: 'order', train: 0.6, validation: 0.2, test: 0.2 },
    architecture: {
      name: 'multi_gate',
      dim_emb: 4,
      embedding_l2: 0.001,
      num_experts: 2,
      dim_hidden_expert: 8,
      dim_hidden_tasks: 8,
      dropout_tasks: 0.1,
    },
    training: { epochs: 2, batch_size: 64, learning_rate: 0.01, seed: 3 },
  }
}

/** Rows for `tinySpec`: red and large things are clicked, sold in the evening. */
export function tinyCsv(rows = 600): string {
  const random = createRandom(9)
  const lines = ['colour,shop,hour,size,click,sale']
  for (let i = 0; i < rows; i++) {
    const colour = ['red', 'green', 'blue'][random.integer(3)]!
    const hour = random.integer(24)
    const size = random.uniform() < 0.1 ? '' : (random.uniform() * 5).toFixed(2)
    const click = random.uniform() < (colour === 'red' ? 0.7 : 0.2) + Number(size) / 20
    const sale = click && random.uniform() < (hour > 12 ? 0.6 : 0.2)
    lines.push(`${colour},shop ${random.integer(20)},${hour},${size},${Number(click)},${Number(sale)}`)
  }
  return `${lines.join('\n')}\n`
}

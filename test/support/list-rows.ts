import { createRandom } from '../../src/tools/data/random.ts'

/** A spec over `views.csv` beside it, with lists, a vector, a shared table and a sequence. */
export function listSpec() {
  const side = 'context' as const
  const sequence = { side, sequence: 'views', missing: { default: [] }, list: { max: 4, keep: 'last' as const } }
  return {
    name: 'views',
    data: { csv: ['views.csv'] },
    tasks: [
      { name: 'ctr', label: 'click == "1"', calibration: 'platt' },
      { name: 'cvr', label: 'sale == "1"', where: 'click == "1"', weight: 0.5 },
    ],
    fields: [
      { name: 'hour', kind: 'integer', size: 24, side },
      { name: 'item', kind: 'vocabulary' },
      { ...sequence, name: 'viewed', kind: 'shared', table: 'item', out_of_vocabulary: 'drop' },
      { ...sequence, name: 'ages', kind: 'numeric', scaling: 'log1p' },
      {
        ...{ name: 'tags', kind: 'vocabulary', out_of_vocabulary: 'drop', missing: { default: [] } },
        ...{ list: { max: 3, weighted: true, separator: '|' }, weights: 'tag_weights', pooling: 'sqrt_n' },
      },
      { name: 'image', kind: 'vector', length: 2 },
      { name: 'size', kind: 'numeric' },
    ],
    sequences: [{ name: 'views', attention: 'din', target: ['item'], dims: [8] }],
    split: { by: 'order', train: 0.6, validation: 0.2, test: 0.2 },
    architecture: {
      ...{ name: 'multi_gate', dim_emb: 4, embedding_l2: 0, num_experts: 2 },
      ...{ dim_hidden_expert: 8, dim_hidden_tasks: 8, dropout_tasks: 0.1 },
    },
    training: { epochs: 2, batch_size: 64, learning_rate: 0.01, seed: 3 },
  }
}

/** Rows for `listSpec`: items that were viewed before are clicked. Some lists are missing, empty or too long. */
export function listCsv(rows = 600): string {
  const random = createRandom(5)
  const lines = ['hour;item;viewed;ages;tags;tag_weights;image;size;click;sale']
  const item = () => `i${random.integer(8)}`
  const several = <T>(count: number, draw: () => T) => Array.from({ length: count }, draw)
  for (let i = 0; i < rows; i++) {
    const own = item()
    const viewed = several(random.integer(7), item)
    const ages = viewed.map(() => random.integer(100))
    const tags = several(random.integer(4), () => `t${random.integer(5)}`)
    const image = several(2, () => random.normal().toFixed(2))
    const click = random.uniform() < (viewed.includes(own) ? 0.8 : 0.15)
    const sale = click && random.uniform() < 0.4
    const history =
      random.uniform() < 0.05 ? ['', ''] : [JSON.stringify(viewed).replaceAll('"', '""'), JSON.stringify(ages)]
    const cells = [
      i % 24,
      own,
      `"${history[0]}"`,
      `"${history[1]}"`,
      tags.join('|'),
      tags.map(() => 1 + random.integer(3)).join('|'),
    ]
    lines.push([...cells, `"[${image}]"`, random.uniform().toFixed(3), Number(click), Number(sale)].join(';'))
  }
  return `${lines.join('\n')}\n`
}

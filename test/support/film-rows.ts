import { createRandom } from '../../src/tools/data/random.ts'

/* Films with genres, and who liked them: a spec over `log.csv` beside it, with histories of both. */

export const movie = { name: 'movie', kind: 'hash', buckets: 50 }
export const genres = {
  ...{ name: 'genres', column: 'kinds', kind: 'vocabulary', missing: { default: [] } },
  ...{ list: { max: 2, separator: '|' }, pooling: 'sum' },
}
export const history = { of: ['movie', 'genres'], by: 'user', order: 'time', where: 'click == "1"', last: 3, max: 4 }
export const filmSpec = {
  name: 'films',
  data: { csv: ['log.csv'] },
  tasks: [{ name: 'ctr', label: 'click == "1"' }],
  fields: [{ name: 'hour', side: 'context', kind: 'integer', size: 24 }, movie, genres],
  history,
  sequences: [{ name: 'history', attention: 'din', target: ['movie'], dims: [4] }],
  group: 'user',
  split: { by: 'random', train: 0.6, validation: 0.2, test: 0.2 },
  architecture: {
    name: 'shared_bottom',
    dim_emb: 4,
    embedding_l2: 0.01,
    dims_shared: [8],
    dims_tasks: [4],
    activation: 'tanh',
  },
  training: { epochs: 1, batch_size: 64, learning_rate: 0.01 },
}

/** Rows of users at different times, from `first` on. */
export function filmCsv(first: number, count = 700): string {
  const random = createRandom(first + 1)
  const kinds = ['drama', 'war', 'comedy']
  const lines = Array.from({ length: count }, (_, i) => {
    const some = kinds.filter(() => random.uniform() < 0.5).join('|')
    const film = random.integer(30)
    const click = Number(random.uniform() < (film % 2 === 0 ? 0.7 : 0.2))
    return `u${random.integer(12)},${first + i},m${film},${some},${click},${random.integer(24)}`
  })
  return `user,time,movie,kinds,click,hour\n${lines.join('\n')}\n`
}

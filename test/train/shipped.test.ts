import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { readBundle } from '../../src/model/bundle/read.ts'
import { createEngine } from '../../src/model/engines/create.ts'
import { readDataset } from '../../src/train/dataset.ts'
import { predictLocally } from '../../src/train/local.ts'
import { predictRemotely } from '../../src/train/remote.ts'
import { reportQuality } from '../../src/train/report.ts'
import { readSpec } from '../../src/train/spec.ts'
import { startTestServer } from '../fixtures/server.ts'
import { specs } from './tiny.ts'

const root = join(specs, '../../..')
const data = join(root, '../shared/data')

t.test(
  'the census model on the test rows of its spec, asked through HTTP and in this process',
  { skip: !existsSync(data) && '../shared/data is not here' },
  async (t) => {
    const { file, spec } = await readSpec('census-income', specs)
    const dataset = await readDataset({ file, spec })
    t.equal(dataset.rows, 99_762)
    t.same(
      [dataset.parts.train.length, dataset.parts.validation.length, dataset.parts.test.length],
      [59_858, 19_952, 19_952],
    )
    const bundle = await readBundle(join(root, 'models'), 'census-income', '1')
    const server = await startTestServer(t, { models: join(root, 'models') })
    const url = await server.fastify.listen({ host: '127.0.0.1', port: 0 })
    const { signal } = new AbortController()
    for (const predictions of [
      await predictRemotely(spec, dataset, { url, model: 'census-income', fetch, sleep, signal }),
      await predictLocally(await createEngine('tensorflow', 1), bundle, file, spec, dataset),
    ]) {
      for (const { name, quality } of reportQuality(spec, dataset, predictions)) {
        t.ok(quality.auc! >= (name === 'income_50k' ? 0.93 : 0.99), `${name} AUC ${quality.auc}`)
        t.ok(Math.abs(quality.auc! - bundle.manifest.quality![name]!.auc!) < 1e-5, 'as its manifest says')
      }
    }
  },
)

t.test(
  'movielens: derived columns and a split by time',
  { skip: !existsSync(data) && '../shared/data is not here' },
  async (t) => {
    const { file, spec } = await readSpec('movielens', specs)
    const { rows, cells, labels, parts } = await readDataset({ file, spec })
    const field = (name: string) => cells[spec.fields.findIndex((candidate) => candidate.name === name)]!
    t.equal(rows, 100_004)
    t.same([parts.train.length, parts.validation.length, parts.test.length], [60_003, 20_001, 20_000])
    // The first row: film 21, "Comedy|Crime|Thriller", rated 3.0.
    t.same([field('movie_id')[0], field('comedy')[0], field('drama')[0], labels[0]![0]], ['21', 1, 0, 0])
    t.same([labels[0]![1], labels[1]![1]], [1, 1], 'the second one is rated 5.0')
  },
)

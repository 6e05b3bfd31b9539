import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import t from 'tap'
import { createEncoder } from '../../../src/model/serving/features/encoder.ts'
import { openCandidates } from '../../../src/tools/catalogue/candidate-rows.ts'
import type { OpenRows } from '../../../src/tools/data/entity-tables.ts'
import { dataOf, openSource } from '../../../src/tools/data/open-source.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { exampleManifest } from '../../support/fakes/manifest.ts'
import { logFields } from '../../support/log-fields.ts'
import { parquetOfLists } from '../../support/parquet.ts'

const graph = {
  ...exampleManifest().graph,
  inputs: { sparse: 'sparse', dense: 'dense' },
} as ReturnType<typeof exampleManifest>['graph']
const manifest = { ...exampleManifest(), features: logFields, graph }
const items = ['a', 'b', 'unknown']
const images = [
  [1, 2],
  [3, 4],
  [5, 6],
]

async function rowsOf(file: string): Promise<OpenRows> {
  return { source: await openSource(dataOf(file, 'a file'), file), joined: undefined, close: () => undefined }
}

async function written(t: { teardown(callback: () => Promise<void>): void }, data: unknown[]): Promise<string> {
  const file = join(await temporaryFolder(t), 'candidates.parquet')
  const columns = [
    { name: 'item', type: 'string' as const, data: items },
    { name: 'price', type: 'double' as const, data: [1, 2, 3] },
    { name: 'image', type: 'doubles' as const, data },
  ]
  await writeFile(file, parquetOfLists(columns))
  return file
}

t.test('lists and vectors of candidates are encoded as those of requests', async (t) => {
  const { defaults, batches } = openCandidates(await rowsOf(await written(t, images)), 'ads', manifest)
  t.same(defaults, ['tags'], 'a list without a column has its default')
  const candidates = items.map((item, i) => ({ item, price: i + 1, image: images[i]! }))
  const encoder = createEncoder(logFields)
  const given = encoder.rows({ user: 0, history: [], ages: [] }, candidates, { maxRows: 3, partial: false })
  const { layout } = encoder
  for await (const { rows, inputs } of batches()) {
    t.equal(rows, 3)
    for (const name of ['item', 'tags', 'image', 'price']) {
      const { sparse, column, width } = layout.byName.get(name)!
      const [all, encoded, columns] = sparse
        ? [inputs.sparse!, given.sparse, layout.sparse.length]
        : [inputs.dense!, given.dense, layout.dense.length]
      for (let row = 0; row < 3; row++) {
        const [from, end] = [row * columns + column, row * columns + column + width]
        t.same([...all.slice(from, end)].map(Number), [...encoded.slice(from, end)], `${name} ${row}`)
      }
    }
  }
})

t.test('a vector of another length is named with its row', async (t) => {
  const { batches } = openCandidates(await rowsOf(await written(t, [[1, 2], [3], [5, 6]])), 'ads', manifest)
  const read = async () => {
    for await (const _ of batches());
  }
  await t.rejects(read(), SpecError)
  await t.rejects(read(), { message: /\/image candidates\.parquet row 2: image has 1 numbers, not 2/ })
})

t.test('a path from the working directory may have folders', async (t) => {
  const file = relative(process.cwd(), await written(t, images))
  t.equal((await rowsOf(file)).source.columns.length, 3)
})

// Training goes on from a graph of PyTorch with lists, as it was exported: a mixture that attends to a history.
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readWhole } from '../../../src/model/graph/lower/read-graph.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { trainIn } from '../../support/trained.ts'

const exported = join(import.meta.dirname, '../../../../test/fixtures/pytorch/ads-history')
const spec = {
  data: { generator: 'ads-history', rows: 4000, seed: 3, click_rate: 0.05, conversion_rate: 0.15 },
  tasks: [
    { name: 'ctr', label: 'click == 1.0' },
    { name: 'cvr', label: 'conversion == 1.0', where: 'click == 1.0' },
  ],
}

async function continued(t: Parameters<typeof temporaryFolder>[0], training: object) {
  const models = join(await temporaryFolder(t), 'models')
  await cp(exported, join(models, 'ads-history'), { recursive: true })
  await trainIn(join(models, '..'), { ...spec, training: { epochs: 1, batch_size: 512, ...training } }, 'ads-history')
  const [before, after] = [await readBundle(models, 'ads-history', '1'), await readBundle(models, 'ads-history', '2')]
  const graphs = await Promise.all(
    [before, after].map(({ folder, manifest }) =>
      readWhole({ folder, file: manifest.graph.file, format: 'onnx', outputs: [] }),
    ),
  )
  const [was, is] = graphs.map(({ constants }) => [...constants.values()])
  const changed = was!.filter(({ rawData }, i) => Buffer.compare(rawData, is![i]!.rawData) !== 0)
  return { before, after, changed }
}

t.test('lists, vectors and the shared table of the export are trained on', async (t) => {
  const { before, after, changed } = await continued(t, { learning_rate: 0.001 })
  t.same(after.manifest.features, before.manifest.features)
  t.same(after.manifest.graph, before.manifest.graph)
  const tables = changed.filter(({ dims }) => dims.length === 2 && Number(dims[1]) === 16)
  t.ok(
    tables.some(({ dims }) => Number(dims[0]) > 100),
    'the table of the campaigns and of what was clicked',
  )
  t.ok(changed.length > 20)
})

t.test('steps of no length change nothing', async (t) => {
  const { changed } = await continued(t, { learning_rate: 1e-30 })
  t.same(
    changed.map(({ name }) => name),
    [],
  )
})

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { architectureNames } from '../../../src/model/graph/architectures/table.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

for (const name of architectureNames)
  t.test(`${name} is trained, judged and written`, async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'tiny.csv'), tinyCsv())
    const training = { epochs: 1, batch_size: 239, learning_rate: 0.01, shuffle: false }
    await trainIn(folder, { ...tinySpec(), architecture: { name, dim_emb: 2 }, training })
    const { manifest } = await readBundle(join(folder, 'models'), 'tiny', '1')
    t.ok(Number.isFinite(manifest.quality!.ctr!.logloss))
  })

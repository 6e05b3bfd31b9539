import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createLayout } from '../../../src/model/serving/features/layout.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { expectTableMemory } from '../../../src/tools/train/table-memory.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'

t.test('tables that do not fit are foreseen, those of a wide part too', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'tiny.csv'), tinyCsv(10))
  const load = async (wide: boolean) => {
    const architecture = { ...tinySpec().architecture, wide }
    await writeFile(join(folder, 'spec.json'), JSON.stringify({ ...tinySpec(), architecture }))
    return readSpec(join(folder, 'spec.json'), specs)
  }
  const layout = createLayout([
    { name: 'shop', side: 'context', kind: 'hash', buckets: 1000, seed: 0, missing: 'error' },
    { name: 'hour', side: 'context', kind: 'integer', size: 24, out_of_vocabulary: 'error', missing: 'error' },
  ])
  // 1,024 ids of 4 numbers, and of one for each of two tasks; six floats each.
  const [plain, wide] = [1024 * 4 * 24, 1024 * 6 * 24]
  const [without, withWide] = [await load(false), await load(true)]
  expectTableMemory(without, layout, plain)
  expectTableMemory(withWide, layout, wide)
  for (const [spec, bytes] of [
    [without, plain],
    [withWide, wide],
  ] as const)
    t.throws(() => expectTableMemory(spec, layout, bytes - 1), { message: /\/fields\/1 .*shop has 1,000 of the ids/ })
})

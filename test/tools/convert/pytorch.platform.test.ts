import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { externalFiles } from '../../../src/model/graph/ir/external-data.ts'
import { survey } from '../../../src/model/serving/version/survey.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { blocks, copyShop, exported, walkHistory, walkThrough } from '../../support/pytorch-example.ts'

/*
 * docs/from-pytorch.md, step by step, with the export that is kept in test/fixtures/pytorch. pytorch.full.test.ts
 * installs PyTorch and exports for itself.
 */

t.test('the export that is kept is that of the page', async (t) => {
  const sha256 = createHash('sha256').update(blocks.export!).digest('hex')
  t.equal(exported.script, sha256, 'else run test/fixtures/pytorch/keep-shop.py')
})

t.test('the kept export has its weights in a file, and every step of the page works', async (t) => {
  const folder = await temporaryFolder(t)
  await copyShop(folder)
  t.same(externalFiles(await readFile(join(folder, 'shop.onnx'))), ['shop.onnx.data'])
  const { inputs } = await survey({ folder, format: 'onnx', file: 'shop.onnx', outputs: [] })
  t.match(inputs, [{ name: 'ids', ids: [4, 24, 501], shared: false }, { name: 'numbers' }])
  await walkThrough(t, folder)
})

t.test('a model with a history is named, served and asked as on the page', async (t) => {
  await walkHistory(t, await temporaryFolder(t))
})

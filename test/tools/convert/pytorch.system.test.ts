import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { externalFiles } from '../../../src/model/graph/ir/external-data.ts'
import { survey } from '../../../src/model/serving/version/survey.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { blocks, copyShop, expectAnswers, exported, serveShop } from '../../support/pytorch-example.ts'

/*
 * The PyTorch example of docs/import-export.md, step by step as it stands there, with the export that is kept in
 * test/fixtures/pytorch. pytorch.full.test.ts installs PyTorch and exports for itself.
 */

t.test('the export that is kept is that of the page', async (t) => {
  const sha256 = createHash('sha256').update(blocks.export!).digest('hex')
  t.equal(exported.script, sha256, 'else run test/fixtures/pytorch/keep-shop.py')
  const { predictions } = JSON.parse(blocks.answer!)
  expectAnswers(t, predictions, exported.probabilities)
})

t.test('the kept export has its weights in a file, and is served by named values', async (t) => {
  const folder = await temporaryFolder(t)
  await copyShop(folder)
  t.same(externalFiles(await readFile(join(folder, 'shop.onnx'))), ['shop.onnx.data'])
  const { inputs } = await survey({ folder, format: 'onnx', file: 'shop.onnx', outputs: [] })
  t.match(inputs, [{ name: 'ids', ids: [4, 24, 501], shared: false }, { name: 'numbers' }])
  expectAnswers(t, await serveShop(t, folder), exported.probabilities)
})

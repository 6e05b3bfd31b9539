import { existsSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { formatInspection, inspect } from '../../../src/tools/convert/inspect.ts'
import { openSaved } from '../../../src/tools/convert/open-saved.ts'
import { writeInit } from '../../../src/tools/convert/write-init.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { initOptions } from '../../support/init-options.ts'
import { listFixture } from '../../support/list-models.ts'
import { perFeatureGraph } from '../../support/per-feature.ts'
import { noReference, referenceFolder } from '../../support/reference.ts'

t.test('a graph is told as it is saved', async (t) => {
  const folder = await temporaryFolder(t)
  const bytes = perFeatureGraph().toBytes()
  await writeFile(join(folder, 'model.onnx'), bytes)
  const inspection = await inspect(await openSaved(join(folder, 'model.onnx'), 'models'))
  // Two tables, 11 → 8, and two of 8 → 1, with biases.
  const parameters = 5 * 3 + 24 * 3 + 11 * 8 + 8 + 2 * (8 + 1)
  t.match(inspection, {
    format: 'onnx',
    bytes: bytes.length,
    parameters,
    parameterBytes: 4 * parameters,
    tasks: undefined,
  })
  const text = formatInspection(inspection)
  t.match(text, /^input +country +int64 +\[rows\] +0 … 4$/m)
  t.match(text, /^input +sizes +float32 +\[rows, 2, 2\]$/m)
  t.match(text, /^output +buy +float32 +\[rows\]$/m)
  t.match(text, /MatMul +\[rows, 8\] +88 +176$/m)
  t.match(text, new RegExp(`^${parameters} parameters, .* B; .* FLOPs per row; opset 17$`, 'm'))
})

t.test('a version is told with its tasks, by name and by folder', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const byName = await inspect(await openSaved('ads', models))
  t.match(byName, { name: 'ads/1', format: 'layers', tasks: ['ctr', 'cvr'], fields: 5 })
  t.same(await inspect(await openSaved(join(models, 'ads/1'), models)), byName)
  const { stdout } = await spawnCli(['inspect', 'ads', '--models', models, '--json'])
  t.same(JSON.parse(stdout), JSON.parse(JSON.stringify(byName)))
})

t.test('the report names the parts of inputs, as a manifest does or as init would', async (t) => {
  const masked = await inspect(await openSaved(listFixture('masked-dynamo'), 'models'))
  t.same(masked.parts, {
    hist: 'list, table of item',
    hist_cat: 'list, items as in hist, table of cat',
    tags: 'list',
    image: 'vector',
    mask: 'mask of hist',
    lengths: 'lengths of hist',
  })
  const text = formatInspection(masked)
  t.match(text, /^input +hist +int64 +\[rows, any\] +list, table of item +0 … 12$/m)
  t.match(text, /FLOPs per row with lists of 50; opset/)
  const models = await temporaryFolder(t)
  await writeInit({ ...initOptions(listFixture('masked-dynamo'), models), name: 'shop' })
  const version = await inspect(await openSaved('shop', models))
  t.match(version, { fields: 8, parts: { user: 'ids of user', mask: 'mask of hist', image: 'values of image' } })
})

t.test('long names are told without the folders that all have', { skip: noReference }, async (t) => {
  const saved = await openSaved(join(referenceFolder, 'keras2/mmoe/model.onnx'), 'models')
  const text = formatInspection(await inspect(saved))
  t.notMatch(text, /StatefulPartitionedCall/)
  t.match(text, /^\S*MLP\/dense_\d+\/MatMul +MatMul +\[rows, 24\] +7,296 +14,592$/m)
})

t.test(
  'what Keras saved is told as it would be imported, and nothing is left over',
  { skip: noReference },
  async (t) => {
    for (const file of ['model.keras', 'model.weights.h5']) {
      const path = join(referenceFolder, 'keras2/mmoe', file)
      const saved = await openSaved(path, 'models')
      t.teardown(() => saved.dispose?.())
      const inspection = await inspect(saved)
      // 484 × 8 ids, 7 × 56, 3 experts, 2 gates and 2 towers, as Keras counts them.
      t.match(inspection, { format: 'keras', file, parameters: 31_098, bytes: (await stat(path)).size })
      await saved.dispose?.()
      t.notOk(existsSync(saved.source.folder))
    }
  },
)

t.test('what is no graph is told', async (t) => {
  const folder = await temporaryFolder(t)
  await t.rejects(openSaved(join(folder, 'x'), folder), { code: 'MODEL_NOT_FOUND', message: /is neither a graph/ })
  await t.rejects(openSaved(folder, folder), { code: 'MODEL_NOT_FOUND', message: /is neither a graph/ })
  await writeTestBundle(folder, { name: 'ads-funnel' })
  await t.rejects(openSaved('ads-funel', folder), { message: /nor a model in .*; did you mean ads-funnel\?$/ })
  const failed = await runCli(['inspect', join(folder, 'x')])
  t.match(failed, { code: 1, stderr: /is neither a graph/ })
})

import { readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import type { Field } from '../../../../src/schemas/features.ts'
import { importModel } from '../../../../src/tools/convert/import-model.ts'
import { blocksOf } from '../../../../src/tools/convert/keras/blocks.ts'
import { readHdf5, readWhole } from '../../../../src/tools/convert/keras/hdf5.ts'
import { recognise } from '../../../../src/tools/convert/keras/recognise.ts'
import { importOptions } from '../../../support/import-options.ts'
import { importedFiles, importsReference, quickest } from '../../../support/keras/reference-files.ts'
import { noReference, type ReferenceModel, readReference, referenceFolder } from '../../../support/reference.ts'

/*
 * Files that Keras 2.15 and Keras 3 saved of the reference's classes, against what Keras itself answered;
 * reference.full.test.ts imports all of them.
 */

for (const file of importedFiles.slice(0, quickest))
  t.test(file, { skip: noReference }, (t) => importsReference(t, file))

t.test('each weight is taken for what it is', { skip: noReference }, async (t) => {
  for (const file of importedFiles.filter((file) => basename(file) === 'model.weights.h5')) {
    const { weights } = await readReference(dirname(file) as ReferenceModel)
    const path = join(referenceFolder, file)
    const found = recognise(blocksOf(await readHdf5(await readWhole(path, 2 ** 31 - 1), path)), { options: {} }, path)
    const renamed = new Map(
      [...weights].map(([name, weight]) => [
        name.replace('income_50k', 'task_0').replace('never_married', 'task_1'),
        weight.values,
      ]),
    )
    t.same([...found.weights.keys()].sort(), [...renamed.keys()].sort(), file)
    for (const [name, { values }] of found.weights) t.same(values, renamed.get(name), name)
  }
})

t.test('with the fields it was trained on, and raw rows', { skip: noReference }, async (t) => {
  const folder = t.testdir()
  const encoding = JSON.parse(await readFile(join(referenceFolder, 'encoding.json'), 'utf8'))
  const sparse = encoding.sparse.map(
    ({ name, vocabulary }: { name: string; vocabulary: string[] }): Field => ({
      name,
      side: 'candidate',
      kind: 'vocabulary',
      // The first id is kept for values that are not known.
      values: vocabulary.slice(1),
      out_of_vocabulary: 'bucket',
      missing: 'error',
    }),
  )
  const numeric = Array.from({ length: encoding.num_dense_features }, (_, i) => ({
    name: `number ${i}`,
    side: 'candidate',
    kind: 'numeric',
    scaling: { method: 'none' },
  }))
  const features = join(folder, 'features.json')
  await writeFile(features, JSON.stringify([...sparse, ...numeric]))
  const path = join(referenceFolder, 'keras2/mmoe/model.keras')
  const golden = join(dirname(path), 'io.json')
  const { manifest, notes } = await importModel(importOptions(path, folder, { features, golden }))
  t.same(notes, [], 'the table is used as it is')
  const raw = JSON.parse(await readFile(join(referenceFolder, 'raw_rows.json'), 'utf8')).rows
  for (const [i, row] of raw.entries())
    for (const { name } of sparse) {
      const named = manifest.golden!.rows[i]![name]
      if (!String(named).startsWith('unknown')) t.equal(named, String(row[name]).trim())
    }
})
